#include <fmt/format.h>

#include <cctype>

#include "kernels/common/error.h"
#include "models/programs/expression.h"

namespace roap::programs {
namespace {

/// Above this many operators a formula is read more easily as a list of values than as one tree.
constexpr double kLargestTree = 40;

constexpr int kAtomPrecedence = 5;

struct Printed {
  std::string text;
  int precedence;
};

std::string parenthesised(const Printed& printed, bool needed) {
  return needed ? fmt::format("({})", printed.text) : printed.text;
}

Printed print_operator(Operator op, const Printed& left, const Printed& right) {
  const OperatorInfo& row = info(op);
  const std::string first = parenthesised(left, left.precedence < row.precedence);
  switch (row.notation) {
    case Notation::function:
      return {fmt::format("{}({}, {})", row.symbol, left.text, right.text), row.precedence};
    case Notation::prefix:
      return {fmt::format("{}{}", row.symbol, first), row.precedence};
    case Notation::postfix:
      // A power of a power is read from the right.
      return {fmt::format("{}{}", parenthesised(left, left.precedence <= row.precedence), row.symbol), row.precedence};
    case Notation::infix:
      break;
  }
  // a - (b + c) is not a - b + c; on the right of + and * the parentheses of the same precedence change nothing.
  const bool right_needed =
      right.precedence < row.precedence || (!row.commutative && right.precedence == row.precedence);
  return {first + infix(op) + parenthesised(right, right_needed), row.precedence};
}

std::string symbol_name(int variable) { return fmt::format("s{}", variable + 1); }

std::string tree_text(const Expression& expression) {
  return expression
      .fold<Printed>(
          [](int variable) {
            return Printed{symbol_name(variable), kAtomPrecedence};
          },
          print_operator)
      .text;
}

std::string graph_text(const Expression& expression) {
  std::string lines;
  int count = 0;
  const auto print_line = [&](Operator op, const std::string& left, const std::string& right) {
    std::string name = fmt::format("v{}", ++count);
    lines += fmt::format("{} = {}; ", name, print_operator(op, {left, kAtomPrecedence}, {right, kAtomPrecedence}).text);
    return name;
  };
  const std::string output = expression.fold<std::string>(symbol_name, print_line);
  return lines + output;
}

/// Recursive descent over  sum = product {("+" | "-") product},  product = signed {("*" | "/") signed},
/// signed = {"-"} power,  power = atom ["^2"],  atom = "s"N | ("min" | "max") "(" sum "," sum ")" | "(" sum ")".
class Parser {
 public:
  Parser(std::string_view text, int variables) : text_(text), variables_(variables) {}

  Expression parse() {
    Expression result = sum();
    if (peek() != '\0') fail("an operator");
    return result;
  }

 private:
  Expression sum() {
    Expression result = product();
    for (char next = peek(); next == '+' || next == '-'; next = peek()) {
      ++position_;
      result = Expression::combine(next == '+' ? Operator::add : Operator::sub, result, product());
    }
    return result;
  }

  Expression product() {
    Expression result = signed_power();
    for (char next = peek(); next == '*' || next == '/'; next = peek()) {
      ++position_;
      result = Expression::combine(next == '*' ? Operator::mul : Operator::div, result, signed_power());
    }
    return result;
  }

  Expression signed_power() {
    if (!accept("-")) return power();
    return Expression::unary(Operator::neg, signed_power());
  }

  Expression power() {
    Expression result = atom();
    return accept("^2") ? Expression::unary(Operator::square, result) : result;
  }

  Expression atom() {
    if (accept("(")) {
      Expression result = sum();
      expect(")");
      return result;
    }
    for (const Operator op : {Operator::min, Operator::max}) {
      if (accept(info(op).symbol)) return function(op);
    }
    return variable();
  }

  Expression function(Operator op) {
    expect("(");
    const Expression left = sum();
    expect(",");
    const Expression right = sum();
    expect(")");
    return Expression::combine(op, left, right);
  }

  Expression variable() {
    const std::string expected = fmt::format("'(' or one of s1..s{}", variables_);
    if (peek() != 's') fail(expected);
    const std::size_t start = position_++;
    int number = 0;
    while (position_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[position_])) &&
           number <= variables_) {
      number = number * 10 + (text_[position_++] - '0');
    }
    if (number < 1 || number > variables_) {
      position_ = start;
      fail(expected);
    }
    return Expression::variable(variables_, number - 1);
  }

  bool accept(std::string_view word) {
    peek();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }

  void expect(std::string_view word) {
    if (!accept(word)) fail(fmt::format("'{}'", word));
  }

  /// The next character that is no blank, '\0' at the end.
  char peek() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw UsageError(fmt::format("formula \"{}\": expected {} at character {}", text_, expected, position_ + 1));
  }

  std::string_view text_;
  int variables_;
  std::size_t position_ = 0;
};

}  // namespace

std::string infix(Operator op) { return fmt::format(" {} ", info(op).symbol); }

double Expression::printed_operator_count() const {
  const double tree = tree_operator_count();
  return tree <= kLargestTree ? tree : static_cast<double>(operator_count());
}

std::string Expression::text() const {
  return tree_operator_count() <= kLargestTree ? tree_text(*this) : graph_text(*this);
}

Expression parse_expression(std::string_view text, int variables) { return Parser(text, variables).parse(); }

}  // namespace roap::programs
