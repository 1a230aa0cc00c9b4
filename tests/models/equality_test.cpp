#include "models/programs/equality.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "kernels/common/error.h"
#include "models/programs/split_mix.h"
#include "models/search/formula_pool.h"

namespace roap::programs {
namespace {

const EqualityOptions kRandomPoints{.expand = false};

Verdict compare(const char* left, const char* right, const EqualityOptions& options = {}) {
  return prove_equal(parse_expression(left, 3), parse_expression(right, 3), options);
}

/// `base` squared `squarings` times, written as x*x or, for the other way of writing it, as x*x + x - x.
Expression repeated_square(const char* base, int squarings, bool roundabout = false) {
  const Expression first = parse_expression(base, 3);
  std::vector<Node> nodes(first.nodes().begin(), first.nodes().end());
  const auto push = [&](Operator op, int left, int right) {
    nodes.push_back(Node::inner(op, left, right));
    return static_cast<int>(nodes.size()) - 1;
  };
  int value = static_cast<int>(nodes.size()) - 1;
  for (int i = 0; i < squarings; ++i) {
    const int square = push(Operator::mul, value, value);
    value = roundabout ? push(Operator::sub, push(Operator::add, square, value), value) : square;
  }
  return {3, nodes};
}

/// All formulas with exactly `operators` operators, equal ones included.
std::vector<Expression> all_formulas(int operators) {
  std::vector<Expression> formulas;
  if (operators == 0) {
    for (int variable = 0; variable < 3; ++variable) formulas.push_back(Expression::variable(3, variable));
    return formulas;
  }
  for (int left = 0; left < operators; ++left) {
    for (const Expression& a : all_formulas(left)) {
      for (const Expression& b : all_formulas(operators - 1 - left)) {
        for (const Operator op : {Operator::add, Operator::sub, Operator::mul}) {
          formulas.push_back(Expression::combine(op, a, b));
        }
      }
    }
  }
  return formulas;
}

/// Values on the grid {1..10}^3 in integers, with symbols k: equal tables mean equal polynomials, as no degree
/// reaches 10.
std::vector<double> integer_table(const Expression& expression) {
  std::vector<double> table;
  for (int i = 0; i < 1000; ++i) {
    const std::array symbols = {i / 100 + 1.0, i / 10 % 10 + 1.0, i % 10 + 1.0};
    table.push_back(expression.evaluate(symbols));
  }
  return table;
}

void expect_agreement(const Expression& a, const Expression& b, bool equal, const EqualityOptions& options) {
  const Verdict verdict = prove_equal(a, b, options);
  ASSERT_EQ(verdict.equal(), equal) << a.text() << " and " << b.text() << ": " << verdict.text();
  if (equal) return;
  ASSERT_EQ(verdict.outcome, Verdict::Outcome::different);
  ASSERT_TRUE(verdict.counter_example) << a.text() << " and " << b.text();
  const CounterExample& example = *verdict.counter_example;
  ASSERT_EQ(example.left, a.evaluate(example.symbols));
  ASSERT_EQ(example.right, b.evaluate(example.symbols));
  ASSERT_GT(std::abs(example.left - example.right), 1e-5);
}

TEST(Equality, AgreesWithTheGridForAllFormulasOfTwoOperators) {
  std::vector<Expression> formulas;
  std::vector<std::vector<double>> tables;
  for (int operators = 0; operators <= 2; ++operators) {
    for (const Expression& formula : all_formulas(operators)) {
      formulas.push_back(formula);
      tables.push_back(integer_table(formula));
    }
  }
  ASSERT_EQ(formulas.size(), 3u + 27 + 486);
  const auto pool = search::FormulaPool::enumerate(3, 2);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const Expression& distinct = pool.formula(i).expression;
    const std::vector<double> table = integer_table(distinct);
    for (std::size_t j = 0; j < formulas.size(); ++j) {
      const bool equal = table == tables[j];
      ASSERT_NO_FATAL_FAILURE(expect_agreement(distinct, formulas[j], equal, {}));
      ASSERT_NO_FATAL_FAILURE(expect_agreement(distinct, formulas[j], equal, kRandomPoints));
    }
  }
}

TEST(Equality, AgreesWithTheGridForFormulasOfThreeOperators) {
  const auto pool = search::FormulaPool::enumerate(3, 3);
  std::vector<std::vector<float>> tables;
  for (std::size_t i = 0; i < pool.size(); ++i) tables.push_back(pool.value_table(i));
  SplitMix64 generator(11);
  for (int pair = 0; pair < 4000; ++pair) {
    const std::size_t i = generator.below(pool.size());
    const std::size_t j = pair % 10 == 0 ? i : generator.below(pool.size());
    const Expression& a = pool.formula(i).expression;
    const Expression& b = pool.formula(j).expression;
    ASSERT_NO_FATAL_FAILURE(expect_agreement(a, b, tables[i] == tables[j], {}));
    ASSERT_NO_FATAL_FAILURE(expect_agreement(a, b, tables[i] == tables[j], kRandomPoints));
  }
}

TEST(Equality, SaysWhatItFound) {
  EXPECT_EQ(compare("(s1 + s2) * s3", "s1 * s3 + s2 * s3").text(), "proved equal (polynomial identity)");
  EXPECT_EQ(compare("s1 * s2 * s3", "s3 * s1 * s2", kRandomPoints).text(),
            "proved equal (random points modulo two primes, error below 2^-233)");
  EXPECT_EQ(compare("s1 * s2", "s1 * s3").text(), "different: at s = (0.1, 0.1, 0.2) 0.01 against 0.02");
  EXPECT_THROW((void)prove_equal(Expression::variable(2, 0), Expression::variable(3, 0)), ShapeError);
}

TEST(Equality, PrefersCounterExamplesThatDifferInPrint) {
  EXPECT_EQ(compare("s1 + s2 * s2 * s2 * s2 * s2 * s2", "s1").text(),
            "different: at s = (0.1, 0.2, 0.1) 0.100064 against 0.1");
}

TEST(Equality, ProvesHugeDegrees) {
  const Expression power = repeated_square("s1", 30);
  ASSERT_EQ(power.degree_bound(), std::ldexp(1.0, 30));
  const Verdict verdict = prove_equal(power, repeated_square("s1", 30, true));
  EXPECT_TRUE(verdict.equal());
  EXPECT_EQ(verdict.method, Verdict::Method::random_points);
  EXPECT_EQ(verdict.log2_error, -120.0);
}

TEST(Equality, RefutesHugeDegrees) {
  const Expression power = repeated_square("s1 * s2 * s3", 30);
  const Expression variant = Expression::combine(Operator::mul, power, parse_expression("s1", 3));
  const Verdict verdict = prove_equal(power, variant);
  EXPECT_EQ(verdict.outcome, Verdict::Outcome::different);
  ASSERT_TRUE(verdict.counter_example);  // (-1)^(2^30) = 1 is the only kind of finite example
  EXPECT_EQ(verdict.counter_example->symbols[0], -1.0);
  EXPECT_EQ(verdict.counter_example->left, 1.0);
  EXPECT_EQ(verdict.counter_example->right, -1.0);
}

TEST(Equality, StatesADifferenceThatDoublesCannotShowInAPrimeField) {
  const Expression power = repeated_square("s1", 30);
  const Expression variant = Expression::combine(Operator::mul, power, parse_expression("s1 * s1", 3));
  const Verdict verdict = prove_equal(power, variant);
  EXPECT_EQ(verdict.outcome, Verdict::Outcome::different);
  EXPECT_FALSE(verdict.counter_example);
  ASSERT_TRUE(verdict.modular_counter_example);
  EXPECT_NE(verdict.modular_counter_example->left, verdict.modular_counter_example->right);
  EXPECT_EQ(verdict.text().substr(0, 45), "different: modulo 1811004864519280733 at s = ");
}

TEST(Equality, IsNotFooledByMultiplesOfAMersennePrime) {
  // (2^61 - 1) s1 is 0 modulo 2^61 - 1 but no zero polynomial.
  std::vector<Node> nodes = {Node::leaf(0)};
  for (int i = 0; i < 61; ++i) nodes.push_back(Node::inner(Operator::add, i, i));
  nodes.push_back(Node::inner(Operator::sub, 61, 0));
  const Expression zero = parse_expression("s1 - s1", 1);
  EXPECT_FALSE(prove_equal(Expression(1, nodes), zero, kRandomPoints).equal());
}

TEST(Equality, AdmitsWhenTheDegreeIsTooLarge) {
  const Verdict verdict = prove_equal(repeated_square("s1", 61), repeated_square("s1", 61, true));
  EXPECT_EQ(verdict.outcome, Verdict::Outcome::undecided);
  EXPECT_FALSE(verdict.equal());
}

TEST(ProveEqual, FormulasThatAreNoPolynomialsAreRefutedButNeverProved) {
  const Verdict twins = compare("min(s1, s2) + max(s1, s2)", "s1 + s2");
  EXPECT_EQ(twins.outcome, Verdict::Outcome::undecided);
  EXPECT_NE(twins.text().find("not only +, - and *"), std::string::npos) << twins.text();
  const Verdict different = compare("s1 / s2", "s1 * s2");
  EXPECT_EQ(different.outcome, Verdict::Outcome::different);
  ASSERT_TRUE(different.counter_example);
  EXPECT_NE(different.counter_example->left, different.counter_example->right);
}

}  // namespace
}  // namespace roap::programs
