#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "models/programs/expression.h"
#include "models/programs/polynomial.h"
#include "models/programs/simplify.h"

namespace roap::search {

/// Symbols take the values k/10, k = 1..kLevels.
inline constexpr int kLevels = 10;

/// A formula with the fewest operators for its polynomial.
struct Formula {
  programs::Expression expression;
  programs::Polynomial polynomial;
  int operators = 0;  ///< binary operators of `expression` written as a tree

  /// The constant 0 has no variance: there is nothing to learn from it.
  [[nodiscard]] bool is_constant() const { return polynomial.degree() == 0; }
};

/// All formulas over s1..sV with at most K binary operators from {+, -, *}, distinct as polynomials, ordered by
/// operators and then by enumeration: the same on every machine.
class FormulaPool {
 public:
  /// The formulas of an Enumeration with their polynomials. Throws UsageError unless 1 <= variables <= 5 and
  /// 0 <= max_operators <= 6; 3 variables have 3, 19, 128, 952, 7502 formulas that need 0 to 4 operators.
  static FormulaPool enumerate(int variables, int max_operators);

  [[nodiscard]] int variables() const { return variables_; }
  [[nodiscard]] int max_operators() const { return static_cast<int>(level_begin_.size()) - 2; }
  [[nodiscard]] std::size_t size() const { return formulas_.size(); }
  [[nodiscard]] const Formula& formula(std::size_t index) const { return formulas_.at(index); }
  [[nodiscard]] std::optional<std::size_t> find(const programs::Polynomial& polynomial) const;
  /// How many formulas need 0, 1, .. max_operators() operators.
  [[nodiscard]] std::vector<std::size_t> counts_by_operators() const;
  /// Indices of the formulas that can be tasks: all but constants, in ascending order.
  [[nodiscard]] std::vector<std::size_t> usable() const;

  /// `count` usable indices, uniform without replacement, in the order drawn: with the same seed a larger draw begins
  /// with the smaller one. Throws UsageError when there are fewer.
  [[nodiscard]] std::vector<std::size_t> draw_tasks(std::size_t count, std::uint64_t seed) const;

  /// The formula's values over all kLevels^V symbols k/10, the index of s1 slowest: for V = 3 entry
  /// ((k1-1)*10 + (k2-1))*10 + (k3-1). Computed in integers and rounded once to double and once to float, so that equal
  /// values are bitwise equal, within and across formulas.
  [[nodiscard]] std::vector<float> value_table(std::size_t index) const;

  /// Table look-up for simplify(); refers to this pool, which must outlive it.
  [[nodiscard]] programs::SmallestFormula smallest_formula() const;

 private:
  explicit FormulaPool(int variables) : variables_(variables) {}

  int variables_;
  std::vector<Formula> formulas_;
  std::vector<std::size_t> level_begin_;  ///< first formula of each number of operators, and the end
  std::unordered_map<programs::Polynomial, std::size_t, programs::PolynomialHash> index_of_;
};

}  // namespace roap::search
