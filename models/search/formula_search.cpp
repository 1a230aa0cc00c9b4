#include "models/search/formula_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/common/error.h"
#include "models/search/level_search.h"
#include "models/search/selection.h"

namespace roap::search {
namespace {

using programs::Expression;
using programs::Operator;

constexpr std::size_t kOthers = 5;
constexpr std::size_t kTies = 10;  // that are named

Expression to_expression(const Enumeration& formulas, const TriedFormula& tried) {
  if (tried.op == Operator::noop) return formulas.expression(tried.left);
  if (programs::info(tried.op).arity() == 1) return Expression::unary(tried.op, formulas.expression(tried.left));
  return Expression::combine(tried.op, formulas.expression(tried.left), formulas.expression(tried.right));
}

double variance(const std::vector<double>& y) {
  const double center = mean(y);
  double sum = 0;
  for (const double value : y) sum += (value - center) * (value - center);
  return sum / static_cast<double>(y.size());
}

/// Judges a task's best formulas by their errors on all its rows.
class Report {
 public:
  Report(const Enumeration& formulas, const LevelSearch& search, std::size_t index, const TaskRows& task,
         int max_operators)
      : task_(task), variance_(variance(task.y)) {
    for (int operators = 0; operators <= max_operators; ++operators) {
      for (const TriedFormula& tried : search.list(index, operators).formulas()) {
        FoundFormula formula{to_expression(formulas, tried), operators};
        formula.error = mean(squared_errors(formula.expression));
        formula.error_normalised = variance_ > 0 ? formula.error / variance_ : std::numeric_limits<double>::quiet_NaN();
        if (std::isfinite(formula.error)) found_.push_back(std::move(formula));
      }
    }
    if (found_.empty()) throw DataError(fmt::format("task {}: no formula has a finite error on its rows", task.name));
  }

  TaskFormulas finish() {
    make_front();
    TaskFormulas result;
    result.name = task_.name;
    result.rows = task_.rows;
    result.variance = variance_;
    for (const std::size_t i : front_) result.front.push_back(found_[i]);
    const std::vector<double> best = squared_errors(found_[front_.back()].expression);
    const auto plausible = [&](std::size_t i) {
      return within_noise(squared_errors(found_[i].expression), best, variance_);
    };
    while (!plausible(front_[result.chosen])) ++result.chosen;
    const std::size_t chosen = front_[result.chosen];
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const bool same_size = found_[i].operators == found_[chosen].operators;
      if (i != chosen && same_size && plausible(i)) result.rivals.push_back(found_[i].expression.text());
    }
    result.others = others();
    return result;
  }

 private:
  [[nodiscard]] std::vector<double> squared_errors(const Expression& expression) const {
    std::vector<double> errors = expression.evaluate_rows(task_.symbols, task_.rows);
    for (std::size_t i = 0; i < task_.rows; ++i) errors[i] = (errors[i] - task_.y[i]) * (errors[i] - task_.y[i]);
    return errors;
  }

  /// The best formula of each size that is better than all smaller ones, with those that are as good.
  void make_front() {
    const double rounding = rounding_error(variance_);
    for (std::size_t begin = 0, end = 0; begin < found_.size(); begin = end) {
      while (end < found_.size() && found_[end].operators == found_[begin].operators) ++end;
      const auto size = std::span(found_).subspan(begin, end - begin);
      const auto best = std::ranges::min_element(size, {}, &FoundFormula::error);
      if (!front_.empty() && !(best->error < found_[front_.back()].error - rounding)) continue;
      for (const FoundFormula& other : size) {
        const bool tie = &other != &*best && other.error <= best->error + rounding;
        if (tie && best->ties.size() < kTies) best->ties.push_back(other.expression.text());
      }
      front_.push_back(begin + static_cast<std::size_t>(best - size.begin()));
    }
  }

  [[nodiscard]] std::vector<FoundFormula> others() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (std::ranges::find(front_, i) == front_.end()) order.push_back(i);
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return found_[i].error; });
    std::vector<FoundFormula> list;
    for (const std::size_t i : order) {
      if (list.size() < kOthers) list.push_back(found_[i]);
    }
    return list;
  }

  const TaskRows& task_;
  double variance_;
  std::vector<FoundFormula> found_;  ///< by size
  std::vector<std::size_t> front_;
};

/// As many of the tasks as fit into `memory` together, at least one.
std::size_t group_size(std::span<const TaskRows> tasks, std::size_t formulas, int max_operators, std::size_t memory) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (const TaskRows& task : tasks) {
    bytes += LevelSearch::bytes_for(task, formulas, max_operators);
    if (count > 0 && bytes > memory) break;
    ++count;
  }
  return count;
}

}  // namespace

SearchResult search_formulas(const std::vector<TaskRows>& tasks, const SearchOptions& options) {
  std::size_t most_rows = 0;
  for (const TaskRows& task : tasks) most_rows = std::max(most_rows, LevelSearch::rows_of(task));
  const Enumeration formulas({.variables = options.variables,
                              .max_operators = std::max(0, options.max_operators - 1),
                              .operators = options.operators,
                              .memory = options.memory,
                              .reserved_per_formula = options.device == nullptr ? most_rows * sizeof(double) : 0,
                              .progress = options.progress,
                              .device = options.device});
  SearchResult result;
  result.max_operators = std::min(options.max_operators, formulas.max_operators() + 1);
  result.complete = result.max_operators == options.max_operators;
  result.screened_rows = LevelSearch::kRows;
  const std::size_t left = options.memory - std::min(options.memory, formulas.bytes());
  for (std::size_t begin = 0; begin < tasks.size();) {
    const auto rest = std::span(tasks).subspan(begin);
    const auto group = rest.first(group_size(rest, formulas.size(), result.max_operators, left));
    LevelSearch search(formulas, group, result.max_operators, options.device);
    search.run(options.progress);
    result.candidates += search.candidates();
    for (std::size_t t = 0; t < group.size(); ++t) {
      result.tasks.push_back(Report(formulas, search, t, group[t], result.max_operators).finish());
    }
    begin += group.size();
  }
  return result;
}

}  // namespace roap::search
