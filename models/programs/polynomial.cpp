#include "models/programs/polynomial.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/common/error.h"
#include "models/programs/split_mix.h"

namespace roap::programs {
namespace {

double power(double base, int exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    base *= base;
  }
  return result;
}

/// All pairwise products, not collected; nothing on overflow of a coefficient.
std::optional<std::vector<Term>> products(std::span<const Term> left, std::span<const Term> right) {
  std::vector<Term> terms;
  terms.reserve(left.size() * right.size());
  for (const Term& a : left) {
    for (const Term& b : right) {
      Term product{a.monomial.times(b.monomial)};
      if (__builtin_mul_overflow(a.coefficient, b.coefficient, &product.coefficient)) return std::nullopt;
      terms.push_back(product);
    }
  }
  return terms;
}

/// The terms of left and of right times `sign`, not collected; nothing on overflow of a coefficient.
std::optional<std::vector<Term>> sums(std::span<const Term> left, std::span<const Term> right, std::int64_t sign) {
  std::vector<Term> terms(left.begin(), left.end());
  for (Term term : right) {
    if (__builtin_mul_overflow(term.coefficient, sign, &term.coefficient)) return std::nullopt;
    terms.push_back(term);
  }
  return terms;
}

std::string monomial_text(Monomial monomial) {
  std::string text;
  for (int variable = 0; variable < Monomial::kVariables; ++variable) {
    const int exponent = monomial.exponent(variable);
    if (exponent == 0) continue;
    text += fmt::format("{}s{}", text.empty() ? "" : "*", variable + 1);
    if (exponent > 1) text += fmt::format("^{}", exponent);
  }
  return text;
}

/// |coefficient|, also for the smallest integer.
std::uint64_t magnitude(std::int64_t coefficient) {
  return coefficient < 0 ? 0 - static_cast<std::uint64_t>(coefficient) : static_cast<std::uint64_t>(coefficient);
}

}  // namespace

Monomial Monomial::variable(int index) {
  if (index < 0 || index >= kVariables) {
    throw ShapeError(fmt::format("polynomials have the variables s1..s{}, not s{}", kVariables, index + 1));
  }
  return Monomial((std::uint64_t{1} << (kVariables * kFieldBits)) | (std::uint64_t{1} << shift(index)));
}

Polynomial Polynomial::variable(int index) {
  Polynomial result;
  result.terms_.push_back({Monomial::variable(index), 1});
  return result;
}

std::optional<Polynomial> Polynomial::collect(std::vector<Term> terms) {
  std::ranges::sort(terms, std::ranges::greater{}, &Term::monomial);
  Polynomial result;
  for (const Term& term : terms) {
    if (result.terms_.empty() || result.terms_.back().monomial != term.monomial) {
      result.terms_.push_back(term);
      continue;
    }
    std::int64_t& sum = result.terms_.back().coefficient;
    if (__builtin_add_overflow(sum, term.coefficient, &sum)) return std::nullopt;
  }
  std::erase_if(result.terms_, [](const Term& term) { return term.coefficient == 0; });
  return result;
}

std::optional<Polynomial> combine(Operator op, const Polynomial& left, const Polynomial& right,
                                  const ExpansionLimits& limits) {
  if (op == Operator::noop) return left;
  if (op == Operator::square) return combine(Operator::mul, left, left, limits);
  if (op == Operator::neg) return combine(Operator::sub, {}, left, limits);
  if (op == Operator::mul && left.degree() + right.degree() > Monomial::kLargestDegree) return std::nullopt;
  std::optional<std::vector<Term>> terms = op == Operator::mul
                                               ? products(left.terms_, right.terms_)
                                               : sums(left.terms_, right.terms_, op == Operator::sub ? -1 : 1);
  if (!terms) return std::nullopt;
  std::optional<Polynomial> result = Polynomial::collect(std::move(*terms));
  if (!result || result->terms_.size() > limits.max_terms) return std::nullopt;
  return result;
}

double Polynomial::evaluate(std::span<const double> symbols) const {
  double sum = 0.0;
  for (const Term& term : terms_) {
    double product = static_cast<double>(term.coefficient);
    for (int variable = 0; variable < Monomial::kVariables; ++variable) {
      const int exponent = term.monomial.exponent(variable);
      if (exponent > 0) product *= power(symbols[variable], exponent);
    }
    sum += product;
  }
  return sum;
}

std::string Polynomial::text() const {
  if (is_zero()) return "0";
  std::string text;
  for (const Term& term : terms_) {
    const bool negative = term.coefficient < 0;
    if (!text.empty()) {
      text += negative ? " - " : " + ";
    } else if (negative) {
      text += '-';
    }
    const std::uint64_t factor = magnitude(term.coefficient);
    if (term.monomial.degree() == 0) {
      text += fmt::format("{}", factor);
    } else {
      if (factor != 1) text += fmt::format("{}*", factor);
      text += monomial_text(term.monomial);
    }
  }
  return text;
}

double Polynomial::operator_count() const {
  if (is_zero()) return 0.0;
  double count = static_cast<double>(terms_.size()) - 1.0;
  if (terms_.front().coefficient < 0) count += 1.0;
  for (const Term& term : terms_) {
    count += std::max(term.monomial.degree() - 1, 0);
    if (magnitude(term.coefficient) != 1 && term.monomial.degree() > 0) count += 1.0;
  }
  return count;
}

std::size_t Polynomial::hash() const {
  std::uint64_t hash = terms_.size();
  for (const Term& term : terms_) {
    hash = SplitMix64::mix(hash ^ term.monomial.key());
    hash = SplitMix64::mix(hash + static_cast<std::uint64_t>(term.coefficient));
  }
  return static_cast<std::size_t>(hash);
}

std::optional<Polynomial> expand(const Expression& expression, const ExpansionLimits& limits) {
  if (expression.variables() > Monomial::kVariables || !expression.is_polynomial()) return std::nullopt;
  using Expanded = std::optional<Polynomial>;
  return expression.fold<Expanded>([](int variable) -> Expanded { return Polynomial::variable(variable); },
                                   [&](Operator op, const Expanded& left, const Expanded& right) -> Expanded {
                                     if (!left || !right) return std::nullopt;
                                     return combine(op, *left, *right, limits);
                                   });
}

}  // namespace roap::programs
