#include "models/search/formula_pool.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "kernels/common/error.h"
#include "models/programs/split_mix.h"
#include "models/search/enumeration.h"

namespace roap::search {

using programs::Expression;
using programs::Polynomial;

namespace {

constexpr int kLargestMaxOperators = 6;

/// Value tables have the common denominator 10^kLargestDegree; six operators reach degree 7.
constexpr int kLargestDegree = 8;

using Powers = std::array<std::int64_t, kLargestDegree + 1>;

constexpr Powers powers_of(std::int64_t base) {
  Powers powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * base;
  return powers;
}

/// 10^kLargestDegree times the polynomial at the symbols levels/10: an exact integer.
std::int64_t scaled_value(const Polynomial& polynomial, const std::vector<int>& levels) {
  constexpr Powers kTen = powers_of(10);
  std::int64_t sum = 0;
  for (const programs::Term& term : polynomial.terms()) {
    std::int64_t product = term.coefficient * kTen[kLargestDegree - term.monomial.degree()];
    for (std::size_t variable = 0; variable < levels.size(); ++variable) {
      product *= powers_of(levels[variable])[term.monomial.exponent(static_cast<int>(variable))];
    }
    sum += product;
  }
  return sum;
}

}  // namespace

FormulaPool FormulaPool::enumerate(int variables, int max_operators) {
  if (variables < 1 || variables > programs::Monomial::kVariables || max_operators < 0 ||
      max_operators > kLargestMaxOperators) {
    throw UsageError(fmt::format(
        "formula pool over {} symbols with up to {} operators: choose 1 to {} symbols and 0 to {} operators", variables,
        max_operators, programs::Monomial::kVariables, kLargestMaxOperators));
  }
  const Enumeration enumeration({.variables = variables, .max_operators = max_operators});
  FormulaPool pool(variables);
  for (std::size_t i = 0; i < enumeration.size(); ++i) {
    const bool symbol = i < static_cast<std::size_t>(variables);
    // Coefficients of so few operators are far from overflow.
    Polynomial polynomial = symbol ? Polynomial::variable(static_cast<int>(i))
                                   : combine(enumeration.op(i), pool.formulas_[enumeration.left(i)].polynomial,
                                             pool.formulas_[enumeration.right(i)].polynomial)
                                         .value();
    pool.index_of_.emplace(polynomial, i);
    pool.formulas_.push_back({enumeration.expression(i), std::move(polynomial), enumeration.operator_count(i)});
  }
  for (int k = 0; k <= max_operators + 1; ++k) pool.level_begin_.push_back(enumeration.level_begin(k));
  return pool;
}

std::optional<std::size_t> FormulaPool::find(const Polynomial& polynomial) const {
  const auto found = index_of_.find(polynomial);
  if (found == index_of_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::size_t> FormulaPool::counts_by_operators() const {
  std::vector<std::size_t> counts;
  for (std::size_t level = 0; level + 1 < level_begin_.size(); ++level) {
    counts.push_back(level_begin_[level + 1] - level_begin_[level]);
  }
  return counts;
}

std::vector<std::size_t> FormulaPool::usable() const {
  std::vector<std::size_t> indices;
  for (std::size_t index = 0; index < size(); ++index) {
    if (!formulas_[index].is_constant()) indices.push_back(index);
  }
  return indices;
}

std::vector<std::size_t> FormulaPool::draw_tasks(std::size_t count, std::uint64_t seed) const {
  std::vector<std::size_t> indices = usable();
  if (count > indices.size()) {
    throw UsageError(
        fmt::format("cannot draw {} different tasks: there are {} formulas over {} symbols with at most {} operators "
                    "(without the constant 0); ask for fewer tasks or allow more operators",
                    count, indices.size(), variables_, max_operators()));
  }
  programs::SplitMix64 generator(seed);
  for (std::size_t i = 0; i < count; ++i) std::swap(indices[i], indices[i + generator.below(indices.size() - i)]);
  indices.resize(count);
  return indices;
}

std::vector<float> FormulaPool::value_table(std::size_t index) const {
  const Polynomial& polynomial = formula(index).polynomial;
  std::size_t entries = 1;
  for (int variable = 0; variable < variables_; ++variable) entries *= kLevels;
  std::vector<float> table(entries);
  std::vector<int> levels(variables_);
  for (std::size_t entry = 0; entry < entries; ++entry) {
    std::size_t rest = entry;
    for (int variable = variables_ - 1; variable >= 0; --variable, rest /= kLevels) {
      levels[variable] = static_cast<int>(rest % kLevels) + 1;
    }
    constexpr double kDenominator = static_cast<double>(powers_of(10)[kLargestDegree]);
    table[entry] = static_cast<float>(static_cast<double>(scaled_value(polynomial, levels)) / kDenominator);
  }
  return table;
}

programs::SmallestFormula FormulaPool::smallest_formula() const {
  return [this](const Polynomial& polynomial) -> std::optional<Expression> {
    const std::optional<std::size_t> index = find(polynomial);
    if (!index) return std::nullopt;
    return formula(*index).expression;
  };
}

}  // namespace roap::search
