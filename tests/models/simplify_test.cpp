#include "models/programs/simplify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "models/programs/discrete_program.h"
#include "models/programs/equality.h"
#include "models/programs/split_mix.h"
#include "models/search/formula_pool.h"

namespace roap::programs {
namespace {

/// Arguments are among the last six values, so that most lines are live and many degrees are large.
StraightLineProgram random_program(int lines, SplitMix64& generator) {
  StraightLineProgram program{3, {}};
  for (int l = 0; l < lines; ++l) {
    const auto argument = [&] { return 3 + l - 1 - static_cast<int>(generator.below(std::min(3 + l, 6))); };
    const auto op = static_cast<Operator>(generator.below(kOperators));
    const int left = argument();
    program.lines.push_back({op, left, argument()});
  }
  return program;
}

TEST(Simplify, UsesTheSmallestFormulaOfTheTable) {
  const auto pool = search::FormulaPool::enumerate(3, 3);
  const auto formula = simplify(parse_expression("s1 * s3 + s2 * s3 + s1 * s1 - s1 * s1", 3), pool.smallest_formula());
  EXPECT_EQ(formula.text, "(s1 + s2) * s3");
  EXPECT_EQ(formula.operators, 2.0);
  EXPECT_EQ(formula.expression.text(), "(s1 + s2) * s3");
}

TEST(Simplify, CollectsWithoutATable) {
  const auto formula = simplify(parse_expression("s1 * s2 - s3 + s2 * s1 + s3 - s3", 3));
  EXPECT_EQ(formula.text, "2*s1*s2 - s3");
  EXPECT_EQ(formula.operators, 3.0);
}

TEST(Simplify, KeepsAProductThatIsShorterThanItsExpansion) {
  const auto formula = simplify(parse_expression("(s1 + s2 + s3) * (s1 - s2) * (s1 + s3)", 3));
  EXPECT_EQ(formula.text, "(s1 + s2 + s3) * (s1 - s2) * (s1 + s3)");
  EXPECT_EQ(formula.operators, 6.0);
}

TEST(Simplify, NeverPrintsMoreOperatorsThanItWasGiven) {
  // The sum of cubes is computed twice, the longer way first; merging would use the longer one three times.
  const auto cubes = parse_expression("(s1 + s2) * (s1 * s1 - s1 * s2 + s2 * s2)", 2);
  const auto sum = parse_expression("s1 * s1 * s1 + s2 * s2 * s2", 2);
  ASSERT_EQ(expand(cubes), expand(sum));
  std::vector<Node> nodes(cubes.nodes().begin(), cubes.nodes().end());
  const int offset = static_cast<int>(nodes.size());
  for (const Node& node : sum.nodes()) {
    nodes.push_back(node.is_leaf() ? node : Node::inner(node.op, node.left + offset, node.right + offset));
  }
  const int last = static_cast<int>(nodes.size()) - 1;
  nodes.push_back(Node::inner(Operator::mul, last, last));
  nodes.push_back(Node::inner(Operator::add, offset - 1, last + 1));
  const Expression expression(2, nodes);
  EXPECT_LT(expression.printed_operator_count(), merge_equal_values(expression).printed_operator_count());
  EXPECT_EQ(simplify(expression).operators, expression.printed_operator_count());
}

TEST(Simplify, PrintsTheConstantZero) {
  const auto pool = search::FormulaPool::enumerate(3, 3);
  for (const SmallestFormula& smallest : {SmallestFormula(), pool.smallest_formula()}) {
    const auto formula = simplify(parse_expression("s1 * (s2 - s3) - s1 * s2 + s3 * s1", 3), smallest);
    EXPECT_EQ(formula.text, "0");
    EXPECT_EQ(formula.operators, 0.0);
  }
  // Zero times a value too large to expand.
  std::vector<Node> nodes = {Node::leaf(0)};
  for (int i = 0; i < 30; ++i) nodes.push_back(Node::inner(Operator::mul, i, i));
  nodes.push_back(Node::inner(Operator::sub, 0, 0));
  nodes.push_back(Node::inner(Operator::mul, 30, 31));
  EXPECT_EQ(simplify(Expression(1, nodes)).text, "0");
  // The same plus s1^3 + s1^2: the large value is gone and the rest is in the table.
  nodes.push_back(Node::inner(Operator::mul, 0, 0));
  nodes.push_back(Node::inner(Operator::add, 33, 33));
  nodes.push_back(Node::inner(Operator::sub, 34, 33));
  nodes.push_back(Node::inner(Operator::mul, 35, 0));
  nodes.push_back(Node::inner(Operator::add, 36, 35));
  nodes.push_back(Node::inner(Operator::add, 32, 37));
  const auto formula = simplify(Expression(1, nodes), search::FormulaPool::enumerate(1, 3).smallest_formula());
  EXPECT_EQ(formula.text, "(s1 * s1 + s1) * s1");
  EXPECT_TRUE(formula.polynomial);
}

TEST(Simplify, MergesEqualValuesOfFormulasTooLargeToExpand) {
  std::vector<Node> nodes = {Node::leaf(0), Node::leaf(1)};
  int value = 0;
  for (int i = 0; i < 30; ++i) {
    const int size = static_cast<int>(nodes.size());
    nodes.push_back(Node::inner(Operator::add, value, 1));
    nodes.push_back(Node::inner(Operator::sub, size, 1));  // = value
    nodes.push_back(Node::inner(Operator::mul, value, size + 1));
    value = size + 2;
  }
  const auto formula = simplify(Expression(2, nodes));
  EXPECT_EQ(formula.expression.operator_count(), 30u);
  EXPECT_EQ(formula.operators, 30.0);
  EXPECT_FALSE(formula.polynomial);
  EXPECT_EQ(formula.text.substr(0, 28), "v1 = s1 * s1; v2 = v1 * v1; ");
}

TEST(Simplify, PreservesThePolynomialOfRandomPrograms) {
  const auto pool = search::FormulaPool::enumerate(3, 3);
  SplitMix64 generator(5);
  int expanded = 0;
  int found_in_pool = 0;
  for (int i = 0; i < 500; ++i) {
    const StraightLineProgram program = random_program(30, generator);
    const Expression expression = program.to_expression();
    const auto formula = simplify(expression, pool.smallest_formula());
    const Verdict verdict = prove_equal(expression, formula.expression);
    ASSERT_TRUE(verdict.equal()) << program.print_lines() << formula.text << "\n" << verdict.text();
    ASSERT_LE(formula.operators, expression.printed_operator_count()) << program.print_lines() << formula.text;
    if (!formula.polynomial) continue;
    ++expanded;
    const std::optional<Polynomial> direct = expand(expression);
    ASSERT_TRUE(!direct || direct == formula.polynomial);
    if (pool.find(*formula.polynomial)) {
      ++found_in_pool;
      EXPECT_LE(formula.operators, 3.0);
    }
  }
  EXPECT_GT(expanded, 100);
  EXPECT_LT(expanded, 500);
  EXPECT_GT(found_in_pool, 20);
}

}  // namespace
}  // namespace roap::programs
