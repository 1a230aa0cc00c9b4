#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/common/error.h"
#include "models/programs/discrete_program.h"
#include "models/programs/expression.h"
#include "models/programs/polynomial.h"

namespace roap::programs {
namespace {

constexpr std::array kSymbols = {0.5, 0.25, 2.0};

Polynomial polynomial_of(const char* text) { return expand(parse_expression(text, 3)).value(); }

TEST(Expression, EvaluatesEveryOperator) {
  EXPECT_EQ(parse_expression("s1 + s2", 3).evaluate(kSymbols), 0.75);
  EXPECT_EQ(parse_expression("s1 - s2", 3).evaluate(kSymbols), 0.25);
  EXPECT_EQ(parse_expression("s1 * s3", 3).evaluate(kSymbols), 1.0);
  EXPECT_EQ(parse_expression("s1 - s2 - s3", 3).evaluate(kSymbols), -1.75);
  EXPECT_EQ(parse_expression("(s1 + s2) * s3 - s1", 3).evaluate(kSymbols), 1.0);
  EXPECT_THROW((void)parse_expression("s1", 2).evaluate(kSymbols), ShapeError);
}

TEST(Expression, PrintsNoMoreParenthesesThanNeeded) {
  const std::array<std::pair<const char*, const char*>, 8> cases = {{
      {"(s1 + s2) * s3", "(s1 + s2) * s3"},
      {"((s1)) + (s2 * s3)", "s1 + s2 * s3"},
      {"s1 - (s2 - s3)", "s1 - (s2 - s3)"},
      {"(s1 - s2) - s3", "s1 - s2 - s3"},
      {"s1 + (s2 - s3)", "s1 + s2 - s3"},
      {"s1*(s2*s3)", "s1 * s2 * s3"},
      {"s1 * (s2 - s3) * (s1 + s1)", "s1 * (s2 - s3) * (s1 + s1)"},
      {"s1 - s2 * s3", "s1 - s2 * s3"},
  }};
  for (const auto& [input, printed] : cases) {
    const Expression expression = parse_expression(input, 3);
    EXPECT_EQ(expression.text(), printed);
    const Expression again = parse_expression(printed, 3);
    EXPECT_EQ(again.text(), printed);
    EXPECT_EQ(expand(again), expand(expression)) << input;
  }
}

TEST(Expression, EvaluatesPrintsAndReadsTheOtherOperators) {
  const std::array<std::tuple<const char*, const char*, double>, 9> cases = {{
      {"s1 / s2 / s3", "s1 / s2 / s3", 1.0},
      {"s1 / (s2 / s3)", "s1 / (s2 / s3)", 4.0},
      {"s1 / (s2 * s3)", "s1 / (s2 * s3)", 1.0},
      {"(s1 * s2) / s3", "s1 * s2 / s3", 0.0625},
      {"min(s1 + s2, s3) - max(s1, s2)", "min(s1 + s2, s3) - max(s1, s2)", 0.25},
      {"-(s1 + s2) * s3", "-(s1 + s2) * s3", -1.5},
      {"s1 - -s2", "s1 - -s2", 0.75},
      {"-s3^2", "-s3^2", -4.0},
      {"(-s3)^2 + (s1 * s3)^2", "(-s3)^2 + (s1 * s3)^2", 5.0},
  }};
  for (const auto& [input, printed, value] : cases) {
    const Expression expression = parse_expression(input, 3);
    EXPECT_EQ(expression.text(), printed);
    EXPECT_EQ(parse_expression(printed, 3), expression);
    EXPECT_EQ(expression.evaluate(kSymbols), value) << input;
  }
  EXPECT_EQ(parse_expression("-(s1^2)", 3).tree_operator_count(), 2);
  EXPECT_TRUE(parse_expression("-(s1^2)", 3).is_polynomial());
  EXPECT_EQ(polynomial_of("-(s1^2) - s2"), polynomial_of("s2 - s2 - s1 * s1 - s2"));
  EXPECT_FALSE(parse_expression("s1 + min(s1, s2)", 3).is_polynomial());
  EXPECT_FALSE(expand(parse_expression("s1 / s2", 3)));
}

TEST(Operators, AreReadFromNames) {
  EXPECT_EQ(parse_operators("mul,add"), (std::vector{Operator::add, Operator::mul}));
  EXPECT_EQ(parse_operators("square,neg,max,min,div"),
            (std::vector{Operator::div, Operator::min, Operator::max, Operator::neg, Operator::square}));
  for (const char* text : {"", "plus", "add,,mul", "noop"}) {
    EXPECT_THROW((void)parse_operators(text), UsageError) << text;
  }
}

TEST(Expression, ParserSaysWhereTheTextIsWrong) {
  for (const char* text : {"", "s1 +", "s4", "s0", "s", "(s1", "s1 s2", "s1 /", "s1^3", "min(s1)", "max(s1, s2",
                           "2 * s1", "s99999999999"}) {
    EXPECT_THROW((void)parse_expression(text, 3), UsageError) << text;
  }
  try {
    (void)parse_expression("s1 + s9", 3);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "formula \"s1 + s9\": expected '(' or one of s1..s3 at character 6");
  }
}

TEST(Expression, DropsNoOpsAndDeadNodes) {
  const std::vector<Node> nodes = {
      Node::leaf(0),
      Node::leaf(1),
      Node::inner(Operator::mul, 0, 1),   // dead: only the right argument of a no-op
      Node::inner(Operator::add, 0, 1),   // live
      Node::inner(Operator::noop, 3, 2),  // = node 3
      Node::leaf(0),                      // = node 0
      Node::inner(Operator::sub, 4, 5),
      Node::inner(Operator::noop, 6, 2),
  };
  const Expression expression(2, nodes);
  EXPECT_EQ(expression.text(), "s1 + s2 - s1");
  EXPECT_EQ(expression.operator_count(), 2u);
  EXPECT_EQ(expression.nodes().size(), 4u);
}

TEST(Expression, RefusesImpossibleNodes) {
  EXPECT_THROW(Expression(2, {}), ShapeError);
  EXPECT_THROW(Expression(2, {Node::leaf(2)}), ShapeError);
  EXPECT_THROW(Expression(2, {Node::leaf(0), Node::inner(Operator::add, 0, 1)}), ShapeError);
  EXPECT_THROW(Expression(2, {Node::leaf(0), Node::inner(Operator::add, -1, 0)}), ShapeError);
  const Expression other = Expression::variable(3, 0);
  EXPECT_THROW((void)Expression::combine(Operator::add, Expression::variable(2, 0), other), ShapeError);
}

TEST(Expression, CountsSharedOperatorsOnceAndTreeOperatorsEveryTime) {
  std::vector<Node> nodes = {Node::leaf(0)};
  for (int i = 0; i < 30; ++i) nodes.push_back(Node::inner(Operator::mul, i, i));
  const Expression power(1, nodes);
  EXPECT_EQ(power.operator_count(), 30u);
  EXPECT_EQ(power.tree_operator_count(), std::ldexp(1.0, 30) - 1);
  EXPECT_EQ(power.degree_bound(), std::ldexp(1.0, 30));
  EXPECT_EQ(power.text().substr(0, 34), "v1 = s1 * s1; v2 = v1 * v1; v3 = v");
  EXPECT_EQ(power.text().substr(power.text().size() - 5), "; v30");
  EXPECT_EQ(power.printed_operator_count(), 30.0);
  for (int i = 30; i < 1100; ++i) nodes.push_back(Node::inner(Operator::add, i, i));
  EXPECT_EQ(Expression(1, nodes).tree_operator_count(), std::numeric_limits<double>::infinity());
}

TEST(Expression, BoundsTheDegree) {
  EXPECT_EQ(parse_expression("s1 + s2 * s3", 3).degree_bound(), 2.0);
  EXPECT_EQ(parse_expression("s1 * s2 - s3", 3).degree_bound(), 2.0);
  EXPECT_EQ(parse_expression("(s1 + s2 * s2) * s3", 3).degree_bound(), 3.0);
}

TEST(DiscreteProgram, CountsLogits) {
  EXPECT_EQ(straight_line_logit_count(3, 30), 1170u);
  EXPECT_EQ(straight_line_logit_count(3, 1), 4u + 3 + 3);
  EXPECT_EQ(tree_logit_count(3, 2), 3u * 4 + 4 * 3);
  EXPECT_EQ(tree_logit_count(3, 0), 3u);
  EXPECT_THROW((void)straight_line_logit_count(3, 0), ShapeError);
  EXPECT_THROW((void)straight_line_logit_count(0, 3), ShapeError);
  EXPECT_THROW((void)tree_logit_count(3, 64), ShapeError);
}

TEST(DiscreteProgram, DecodesStraightLineLayout) {
  const std::vector<float> logits = {
      0,  0,  5,  1,       // line 0: mul
      2,  3,  1,  0,       // line 1: sub
      9,  8,  8,  8,       // line 2: add
      0,  1,  0,           // left of line 0: s2
      0,  0,  0,  1,       // left of line 1: the value of line 0
      0,  0,  0,  1,  0,   // left of line 2: the value of line 0
      -3, -2, -1,          // right of line 0: s3
      -1, -2, -3, -4,      // right of line 1: s1
      -5, -5, -5, -5, -4,  // right of line 2: the value of line 1
  };
  const StraightLineProgram program = decode_straight_line(logits, 3, 3);
  EXPECT_EQ(program.lines[0], (ProgramLine{Operator::mul, 1, 2}));
  EXPECT_EQ(program.lines[1], (ProgramLine{Operator::sub, 3, 0}));
  EXPECT_EQ(program.lines[2], (ProgramLine{Operator::add, 3, 4}));
  EXPECT_EQ(program.to_expression().text(), "s2 * s3 + s2 * s3 - s1");
  EXPECT_THROW((void)decode_straight_line(logits, 3, 2), ShapeError);
}

TEST(DiscreteProgram, FirstOfTiesWinsAndNanNever) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float low = -std::numeric_limits<float>::infinity();
  const std::vector<float> logits = {
      nan, 2,   nan, 2,  // sub: the first of the equal ones that are numbers
      nan, nan,          // all NaN: s1
      nan, low,          // s2, the only number
  };
  const StraightLineProgram program = decode_straight_line(logits, 2, 1);
  EXPECT_EQ(program.lines[0], (ProgramLine{Operator::sub, 0, 1}));
  const std::vector<float> all_low(straight_line_logit_count(2, 1), low);
  EXPECT_EQ(decode_straight_line(all_low, 2, 1).lines[0], (ProgramLine{Operator::add, 0, 0}));
}

TEST(DiscreteProgram, DecodesTreeLayout) {
  const std::vector<float> logits = {
      0, 1, 0, 0,             // root: sub
      1, 0, 0, 0,             // left child: add
      0, 0, 1, 0,             // right child: mul
      1, 0, 0, 1, 0, 1, 1, 0  // leaves: s1, s2, s2, s1
  };
  const TreeProgram program = decode_tree(logits, 2, 2);
  EXPECT_EQ(program.operators, (std::vector{Operator::sub, Operator::add, Operator::mul}));
  EXPECT_EQ(program.leaves, (std::vector{0, 1, 1, 0}));
  EXPECT_EQ(program.to_expression().text(), "s1 + s2 - s2 * s1");
  EXPECT_THROW((void)decode_tree(logits, 2, 3), ShapeError);
  EXPECT_EQ(decode_tree(std::vector<float>{0, 1}, 2, 0).to_expression().text(), "s2");
}

TEST(DiscreteProgram, NoOpOfATreeIsItsLeftChild) {
  const TreeProgram program{3, {Operator::noop, Operator::mul, Operator::add}, {0, 1, 2, 2}};
  EXPECT_EQ(program.to_expression().text(), "s1 * s2");
}

TEST(DiscreteProgram, PrintsLiveLinesOnly) {
  const StraightLineProgram program{3,
                                    {{Operator::add, 0, 1},     // v4
                                     {Operator::mul, 3, 3},     // v5, dead
                                     {Operator::noop, 3, 4},    // v6 = v4
                                     {Operator::mul, 5, 2},     // v7
                                     {Operator::noop, 6, 0}}};  // v8 = v7
  EXPECT_EQ(program.print_lines(), "v4 = s1 + s2\nv7 = v4 * s3\noutput v7\n");
  EXPECT_EQ(program.to_expression().text(), "(s1 + s2) * s3");
  EXPECT_EQ((StraightLineProgram{3, {{Operator::noop, 1, 0}}}.print_lines()), "output s2\n");
  EXPECT_THROW((void)(StraightLineProgram{3, {{Operator::add, 0, 3}}}.print_lines()), ShapeError);
}

TEST(Polynomial, HasOneCanonicalForm) {
  EXPECT_EQ(polynomial_of("(s1 + s2) * (s1 - s2)"), polynomial_of("s1 * s1 - s2 * s2"));
  EXPECT_EQ(polynomial_of("(s1 + s2) * s3").hash(), polynomial_of("s3 * s2 + s1 * s3").hash());
  EXPECT_NE(polynomial_of("s1 + s2"), polynomial_of("s1 - s2"));
  EXPECT_NE(polynomial_of("s1 * s2").hash(), polynomial_of("s1 * s3").hash());
  EXPECT_TRUE(polynomial_of("s1 * s2 - s2 * s1").is_zero());
}

TEST(Polynomial, PrintsAndCountsOperators) {
  const std::array<std::tuple<const char*, const char*, double>, 6> cases = {{
      {"s1 - s1", "0", 0},
      {"s1 * s2 + s1 * s2 - s3", "2*s1*s2 - s3", 3},
      {"s2 - s1", "-s1 + s2", 2},
      {"s3 * s3 * s3 - s1 - s1", "s3^3 - 2*s1", 4},
      {"(s1 + s2) * (s1 + s2)", "s1^2 + 2*s1*s2 + s2^2", 6},
      {"s2", "s2", 0},
  }};
  for (const auto& [formula, text, operators] : cases) {
    EXPECT_EQ(polynomial_of(formula).text(), text);
    EXPECT_EQ(polynomial_of(formula).operator_count(), operators) << text;
  }
}

TEST(Polynomial, EvaluatesAsItsExpression) {
  for (const char* text : {"(s1 + s2) * (s1 + s3) * s3", "s1 - s2 * s2 * s2", "s3 * s3 * s3 * s3 * s3 - s1"}) {
    EXPECT_NEAR(polynomial_of(text).evaluate(kSymbols), parse_expression(text, 3).evaluate(kSymbols), 1e-12) << text;
  }
}

TEST(Polynomial, HandlesFiveVariablesAndNoMore) {
  EXPECT_EQ(expand(parse_expression("(s1 + s5) * s4", 5))->text(), "s1*s4 + s4*s5");
  EXPECT_FALSE(expand(parse_expression("s1", 6)).has_value());
  EXPECT_THROW((void)Polynomial::variable(5), ShapeError);
}

TEST(Polynomial, GivesUpBeyondItsLimits) {
  const Expression squares = parse_expression("(s1 + s2) * (s1 + s2)", 2);
  EXPECT_TRUE(expand(squares, {.max_terms = 3}).has_value());
  EXPECT_FALSE(expand(squares, {.max_terms = 2}).has_value());

  std::vector<Node> doubling = {Node::leaf(0)};
  for (int i = 0; i < 62; ++i) doubling.push_back(Node::inner(Operator::add, i, i));
  EXPECT_EQ(expand(Expression(1, doubling))->terms()[0].coefficient, std::int64_t{1} << 62);
  doubling.push_back(Node::inner(Operator::add, 62, 62));
  EXPECT_FALSE(expand(Expression(1, doubling)).has_value());

  std::vector<Node> squaring = {Node::leaf(0)};
  for (int i = 0; i < 9; ++i) squaring.push_back(Node::inner(Operator::mul, i, i));
  EXPECT_EQ(expand(Expression(1, squaring))->degree(), 512);
  squaring.push_back(Node::inner(Operator::mul, 9, 9));
  EXPECT_FALSE(expand(Expression(1, squaring)).has_value());
}

}  // namespace
}  // namespace roap::programs
