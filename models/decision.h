#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/data/pair_source.h"
#include "models/formula_set.h"
#include "models/model.h"

namespace roap {

/// The formula decided for a task.
struct DecidedFormula {
  programs::Expression expression;
  double error = 0;                 ///< mean squared error on the pairs, in units of the task's variance
  std::vector<std::string> ties{};  ///< formulas of the same size that these pairs cannot tell from it
};

struct DecisionOptions {
  int pairs = 2048;        ///< pairs of images that decide
  int screening = 256;     ///< of them for a first look at all formulas
  int candidates = 16;     ///< formulas of a task after the first look
  std::uint64_t seed = 0;  ///< of the pairs
};

/// Decides a formula for every task from many pairs of `source`'s images, the grounder in evaluation mode: the smallest
/// one within noise of the best (search::select_formula).
std::vector<DecidedFormula> decide_formulas(Model& model, const PairSource& source, const FormulaSet& formulas,
                                            const DecisionOptions& options = {});

}  // namespace roap
