#include <fmt/format.h>

#include <cctype>

#include "kernels/common/error.h"
#include "models/programs/expression.h"

namespace roap::programs {
namespace {

/// Above this many operators a formula is read more easily as a list of values than as one tree.
constexpr double kLargestTree = 40;

constexpr int kSumPrecedence = 1;
constexpr int kProductPrecedence = 2;
constexpr int kAtomPrecedence = 3;

struct Printed {
  std::string text;
  int precedence;
};

std::string parenthesised(const Printed& printed, bool needed) {
  return needed ? fmt::format("({})", printed.text) : printed.text;
}

Printed print_operator(Operator op, const Printed& left, const Printed& right) {
  const int precedence = op == Operator::mul ? kProductPrecedence : kSumPrecedence;
  // a - (b + c) is not a - b + c; on the right of + and * the parentheses of the same precedence change nothing.
  const bool right_needed = right.precedence < precedence || (op == Operator::sub && right.precedence == precedence);
  return {
      parenthesised(left, left.precedence < precedence) + std::string(infix(op)) + parenthesised(right, right_needed),
      precedence};
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
    lines += fmt::format("{} = {}{}{}; ", name, left, infix(op), right);
    return name;
  };
  const std::string output = expression.fold<std::string>(symbol_name, print_line);
  return lines + output;
}

/// Recursive descent over  sum = product {("+" | "-") product},  product = atom {"*" atom},  atom = "s"N | "(" sum ")".
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
    Expression result = atom();
    while (peek() == '*') {
      ++position_;
      result = Expression::combine(Operator::mul, result, atom());
    }
    return result;
  }

  Expression atom() {
    if (peek() == '(') {
      ++position_;
      Expression result = sum();
      if (peek() != ')') fail("')'");
      ++position_;
      return result;
    }
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

std::string_view infix(Operator op) {
  switch (op) {
    case Operator::add:
      return " + ";
    case Operator::sub:
      return " - ";
    case Operator::mul:
      return " * ";
    case Operator::noop:
      break;
  }
  return " noop ";
}

double Expression::printed_operator_count() const {
  const double tree = tree_operator_count();
  return tree <= kLargestTree ? tree : static_cast<double>(operator_count());
}

std::string Expression::text() const {
  return tree_operator_count() <= kLargestTree ? tree_text(*this) : graph_text(*this);
}

Expression parse_expression(std::string_view text, int variables) { return Parser(text, variables).parse(); }

}  // namespace roap::programs
