#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace roap::programs {

/// The first kOperators are those of program sketches, in the order of an operator's four logits; the others occur in
/// formulas that are searched for.
enum class Operator : std::uint8_t { add, sub, mul, noop, div, min, max, neg, square };

inline constexpr int kOperators = 4;

/// How an operator is written.
enum class Notation : std::uint8_t { infix, prefix, postfix, function };

/// All that is known about an operator: a new one is one enumerator, one row in operators.cpp and, when it has a value
/// on more than numbers, one case in apply().
struct OperatorInfo {
  Operator op;
  std::string_view name;    ///< in options: "div"
  std::string_view symbol;  ///< in formulas: "/", "min"
  Notation notation;
  int precedence;    ///< in formulas; a higher one binds tighter
  bool commutative;  ///< op(a, b) = op(b, a)
  bool ring;         ///< made of +, - and *: maps polynomials to polynomials, see apply()
  double (*value)(double, double);

  [[nodiscard]] int arity() const { return notation == Notation::prefix || notation == Notation::postfix ? 1 : 2; }
};

const OperatorInfo& info(Operator op);
/// The rows of all operators, in the order of the enumerators.
std::span<const OperatorInfo> all_operators();
/// "add,sub,mul" -> operators, each once, in the order of the enumerators. UsageError names the word that is none.
std::vector<Operator> parse_operators(std::string_view names);

/// left op right for any value type with +, - and *, when info(op).ring; a no-op is its left argument, which is the
/// only one of a unary operator.
template <class Value>
Value apply(Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::add:
      return left + right;
    case Operator::sub:
      return left - right;
    case Operator::mul:
      return left * right;
    case Operator::neg:
      return left - left - left;
    case Operator::square:
      return left * left;
    default:
      return left;
  }
}

}  // namespace roap::programs
