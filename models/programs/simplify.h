#pragma once

#include <functional>
#include <optional>
#include <string>

#include "models/programs/expression.h"
#include "models/programs/polynomial.h"

namespace roap::programs {

/// The smallest formula known for a polynomial, or nothing.
using SmallestFormula = std::function<std::optional<Expression>(const Polynomial&)>;

struct SimplifiedFormula {
  std::string text;        ///< the most readable form found
  double operators = 0.0;  ///< binary operators in `text`; a power of n counts n-1
  Expression expression;   ///< the same polynomial; the formula in `text` unless that is a collected polynomial
  std::optional<Polynomial> polynomial;  ///< when the expression or its graph expands within the limits
};

/// The same polynomial, written more readably: "0", or the table's smallest formula, or else the shorter of the
/// collected polynomial and the graph in which equal values are computed once; never more operators than `expression`
/// prints. An expression that is no polynomial is printed as it is. Values count as equal when they agree at random
/// points modulo two primes, with the error bound of prove_equal().
SimplifiedFormula simplify(const Expression& expression, const SmallestFormula& smallest = {},
                           const ExpansionLimits& limits = {});

/// The expression's graph in which every value that occurs twice is computed once: x + 0, x - (x - y) or a product
/// written in two ways are found whatever their form, by values at random points modulo two 61-bit primes.
Expression merge_equal_values(const Expression& expression);

}  // namespace roap::programs
