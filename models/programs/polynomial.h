#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/programs/expression.h"

namespace roap::programs {

/// A product of powers of up to kVariables variables, packed so that the order of the keys is the graded lexicographic
/// order and the product of two monomials is the sum of their keys.
class Monomial {
 public:
  static constexpr int kVariables = 5;
  static constexpr int kLargestDegree = 1023;

  Monomial() = default;  ///< the constant 1
  /// Variable `index`, 0-based, below kVariables.
  static Monomial variable(int index);

  [[nodiscard]] int degree() const { return static_cast<int>(key_ >> (kVariables * kFieldBits)); }
  [[nodiscard]] int exponent(int variable) const {
    return static_cast<int>((key_ >> shift(variable)) & kLargestDegree);
  }
  [[nodiscard]] std::uint64_t key() const { return key_; }
  /// The product's degree must not exceed kLargestDegree.
  [[nodiscard]] Monomial times(Monomial other) const { return Monomial(key_ + other.key_); }
  auto operator<=>(const Monomial&) const = default;

 private:
  static constexpr int kFieldBits = 10;
  static constexpr int shift(int variable) { return (kVariables - 1 - variable) * kFieldBits; }
  explicit Monomial(std::uint64_t key) : key_(key) {}

  std::uint64_t key_ = 0;
};

struct Term {
  Monomial monomial;
  std::int64_t coefficient = 0;
  bool operator==(const Term&) const = default;
};

/// Where an expansion gives up. A product of two polynomials costs at most max_terms^2 operations.
struct ExpansionLimits {
  std::size_t max_terms = 512;
};

/// A polynomial with 64-bit integer coefficients in canonical form: no zero coefficients, monomials in falling graded
/// lexicographic order. Two polynomials are equal as functions exactly when they compare equal.
class Polynomial {
 public:
  Polynomial() = default;  ///< the constant 0
  /// Variable `index`, 0-based, below Monomial::kVariables.
  static Polynomial variable(int index);

  [[nodiscard]] std::span<const Term> terms() const { return terms_; }
  [[nodiscard]] bool is_zero() const { return terms_.empty(); }
  /// Total degree; 0 for the constant 0.
  [[nodiscard]] int degree() const { return terms_.empty() ? 0 : terms_.front().monomial.degree(); }
  /// Value at `symbols`, one for every variable that occurs.
  [[nodiscard]] double evaluate(std::span<const double> symbols) const;
  /// "2*s1^2*s2 - s3"; "0" for the constant 0.
  [[nodiscard]] std::string text() const;
  /// Binary operators needed to compute text() literally; a power of n counts n-1 products.
  [[nodiscard]] double operator_count() const;
  [[nodiscard]] std::size_t hash() const;
  bool operator==(const Polynomial&) const = default;

  /// left op right for an operator of +, - and *; nothing when a coefficient overflows, the degree exceeds
  /// Monomial::kLargestDegree or there are more than limits.max_terms terms.
  friend std::optional<Polynomial> combine(Operator op, const Polynomial& left, const Polynomial& right,
                                           const ExpansionLimits& limits);

 private:
  /// Sorts and collects; nothing when a coefficient overflows.
  static std::optional<Polynomial> collect(std::vector<Term> terms);

  std::vector<Term> terms_;
};

std::optional<Polynomial> combine(Operator op, const Polynomial& left, const Polynomial& right,
                                  const ExpansionLimits& limits = {});

/// The expression's polynomial; nothing when it is none, when it or an intermediate result passes the limits of
/// combine(), or when there are more than Monomial::kVariables variables.
std::optional<Polynomial> expand(const Expression& expression, const ExpansionLimits& limits = {});

struct PolynomialHash {
  std::size_t operator()(const Polynomial& polynomial) const { return polynomial.hash(); }
};

}  // namespace roap::programs
