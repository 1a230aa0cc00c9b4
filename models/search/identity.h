#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/programs/operators.h"

namespace roap::search {

/// Two formulas with the same key count as the same.
using Key = std::array<std::uint64_t, 2>;

/// Says which formulas are the same, from one value (or list of values) per formula that an operator combines.
class Identity {
 public:
  virtual ~Identity() = default;

  /// The key of op(left, right), formulas that were pushed before; nothing where the formula has no value, such as a
  /// quotient by zero. A unary operator ignores `right`. Safe to call from several threads.
  [[nodiscard]] virtual std::optional<Key> key(programs::Operator op, std::uint32_t left,
                                               std::uint32_t right) const = 0;
  /// The key of a symbol.
  [[nodiscard]] virtual Key symbol_key(int variable) const = 0;
  /// Keeps that formula, which has a key, as the next index.
  virtual void push(programs::Operator op, std::uint32_t left, std::uint32_t right) = 0;
  virtual void push_symbol(int variable) = 0;
  /// Keeps the first `count` formulas only.
  virtual void truncate(std::size_t count) = 0;

  /// Bytes kept per formula beside its key, and the largest part of them that grows at once.
  [[nodiscard]] virtual std::size_t bytes_per_formula() const = 0;
  virtual void reserve(std::size_t count) = 0;
};

/// Identity as rational functions: values at one random point modulo each of two 61-bit primes. Different functions of
/// degree d get the same key with probability below (d / 2^60)^2 over the choice of the points, so among 10^7 formulas
/// of degree up to 32 any two are mistaken for one with probability below 2^-63.
std::unique_ptr<Identity> modular_identity(int variables, bool with_division);

/// Identity on given points [count, variables]: the same rounded values. Rounding is to 2^-30 of the value (of 1, for
/// smaller values). Formulas with a value that is not finite have no key.
std::unique_ptr<Identity> value_identity(int variables, std::vector<double> points);

/// `count` fixed random points with coordinates of both signs for value_identity().
std::vector<double> generic_points(int variables, int count);

}  // namespace roap::search
