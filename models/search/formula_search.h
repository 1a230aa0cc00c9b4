#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "models/programs/expression.h"
#include "models/search/enumeration.h"

namespace roap::search {

/// Numbers from which one formula is to be found: y = formula(s1..sV), perhaps with noise.
struct TaskRows {
  std::string name;
  std::size_t rows = 0;
  std::vector<double> symbols;  ///< [V, rows]
  std::vector<double> y;        ///< [rows]
};

struct SearchOptions {
  int variables = 3;
  int max_operators = 5;
  std::vector<programs::Operator> operators{programs::Operator::add, programs::Operator::sub, programs::Operator::mul};
  std::size_t memory = kNoMemoryLimit;  ///< bytes for everything that the search allocates
  std::function<void(const SearchProgress&)> progress{};
  SearchDevice* device = nullptr;  ///< where to search; null: on the CPU. `memory` is of the host only
};

/// A formula with its errors on a task's rows.
struct FoundFormula {
  programs::Expression expression;
  int operators = 0;
  double error = 0;                 ///< mean squared error
  double error_normalised = 0;      ///< divided by the variance of y; NaN where y does not vary
  std::vector<std::string> ties{};  ///< other formulas with as many operators and the same error
};

/// What was found for a task.
struct TaskFormulas {
  std::string name;
  std::size_t rows = 0;
  double variance = 0;               ///< of y
  std::vector<FoundFormula> front;   ///< error against size: each is better than all smaller formulas
  std::size_t chosen = 0;            ///< of the front: the smallest formula within noise of the best
  std::vector<std::string> rivals;   ///< formulas of the chosen one's size that the rows cannot tell from it
  std::vector<FoundFormula> others;  ///< the next best, by error
};

struct SearchResult {
  int max_operators = 0;          ///< of the formulas that were tried
  bool complete = false;          ///< false: memory ended the search before options.max_operators
  double candidates = 0;          ///< formulas tried, equal ones included
  std::size_t screened_rows = 0;  ///< all formulas were compared on at most that many rows of a task
  std::vector<TaskFormulas> tasks;
};

/// Tries all formulas with up to max_operators operators on every task's rows. Smaller formulas are kept with their
/// values, the largest ones are only tried, each once it is made of two smaller ones: memory is that of one level less.
/// All tasks have options.variables symbols. Throws DeviceError when memory is too little for any formula.
SearchResult search_formulas(const std::vector<TaskRows>& tasks, const SearchOptions& options);

}  // namespace roap::search
