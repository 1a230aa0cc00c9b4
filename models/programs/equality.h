#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/programs/expression.h"
#include "models/programs/polynomial.h"

namespace roap::programs {

struct EqualityOptions {
  ExpansionLimits limits = {};  ///< up to here the two polynomials are expanded and compared
  bool expand = true;           ///< false: random points (Schwartz-Zippel) only
  int points = 4;               ///< random points for each of the two primes
  std::uint64_t seed = 0x5eed;  ///< of the random points
};

/// Symbols at which the two expressions visibly differ, with both values, which are finite.
struct CounterExample {
  std::vector<double> symbols;
  double left = 0.0;
  double right = 0.0;
};

/// Residues of symbols at which the two expressions differ modulo `prime`: a proof too, for values beyond double.
struct ModularCounterExample {
  std::uint64_t prime = 0;
  std::vector<std::uint64_t> symbols;
  std::uint64_t left = 0;
  std::uint64_t right = 0;
};

/// What prove_equal() found.
struct Verdict {
  enum class Outcome {
    proved_equal,
    different,
    undecided,  ///< equal at all points, which says nothing: the degree is too large, or one is no polynomial
  };
  enum class Method { expansion, random_points, values };

  Outcome outcome = Outcome::undecided;
  Method method = Method::expansion;
  /// log2 of the bound on the probability that different polynomials are called equal; minus infinity for an expansion.
  double log2_error = 0.0;
  std::optional<CounterExample> counter_example;
  std::optional<ModularCounterExample> modular_counter_example;  ///< only when there is no counter_example

  [[nodiscard]] bool equal() const { return outcome == Outcome::proved_equal; }
  /// "proved equal (polynomial identity)", "different: at s = (0.1, 0.3, 0.2) 0.05 against 0.06".
  [[nodiscard]] std::string text() const;
};

/// Decides whether two expressions over the same variables are the same polynomial.
///
/// While both expand within options.limits, their canonical forms are compared: exact. Otherwise both are evaluated at
/// random points modulo two 61-bit primes. By the lemma of Schwartz and Zippel a non-zero polynomial of degree d over
/// the field of p elements vanishes at a random point with probability at most d / p; so different polynomials pass all
/// n points of a prime with probability at most (d / p)^n, for each prime that does not divide all coefficients of
/// their difference. The bound stated is that of one prime: for degree 2^30 and 4 points 2^-120. A difference is always
/// exact.
///
/// Where one of them is no polynomial, only a counter-example decides. It is looked for among symbols k/10, k = 1..10,
/// then in {-1, 0, 1, 2}, then among random tenths of both signs. Throws ShapeError when the numbers of variables
/// differ.
Verdict prove_equal(const Expression& left, const Expression& right, const EqualityOptions& options = {});

}  // namespace roap::programs
