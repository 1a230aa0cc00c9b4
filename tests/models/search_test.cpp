#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/common/error.h"
#include "models/programs/expression.h"
#include "models/programs/polynomial.h"
#include "models/search/formula_pool.h"

namespace roap::search {
namespace {

using programs::expand;
using programs::parse_expression;

const FormulaPool& pool_of_three() {
  static const FormulaPool pool = FormulaPool::enumerate(3, 3);
  return pool;
}

TEST(FormulaPool, HasTheKnownCounts) {
  EXPECT_EQ(FormulaPool::enumerate(3, 4).counts_by_operators(), (std::vector<std::size_t>{3, 19, 128, 952, 7502}));
  EXPECT_EQ(FormulaPool::enumerate(3, 0).counts_by_operators(), (std::vector<std::size_t>{3}));
  EXPECT_EQ(FormulaPool::enumerate(1, 1).counts_by_operators(), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(pool_of_three().size(), 1102u);
  EXPECT_EQ(pool_of_three().usable().size(), 1101u);
  EXPECT_EQ(pool_of_three().max_operators(), 3);
}

TEST(FormulaPool, RefusesImpossibleSizes) {
  EXPECT_THROW((void)FormulaPool::enumerate(0, 3), UsageError);
  EXPECT_THROW((void)FormulaPool::enumerate(6, 3), UsageError);
  EXPECT_THROW((void)FormulaPool::enumerate(3, -1), UsageError);
  EXPECT_THROW((void)FormulaPool::enumerate(3, 7), UsageError);
}

TEST(FormulaPool, FormulasMatchTheirPolynomialsAndTexts) {
  const FormulaPool& pool = pool_of_three();
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const Formula& formula = pool.formula(i);
    const std::string text = formula.expression.text();
    ASSERT_EQ(expand(formula.expression), formula.polynomial) << text;
    ASSERT_EQ(formula.expression.tree_operator_count(), formula.operators) << text;
    ASSERT_EQ(pool.find(formula.polynomial), i) << text;
    ASSERT_EQ(parse_expression(text, 3).text(), text);
    ASSERT_EQ(expand(parse_expression(text, 3)), formula.polynomial) << text;
    ASSERT_LE(pool.formula(i == 0 ? 0 : i - 1).operators, formula.operators) << text;
  }
}

TEST(FormulaPool, OrderIsFixed) {
  const FormulaPool& pool = pool_of_three();
  const std::vector<std::string> first = {"s1", "s2", "s3", "s1 + s1", "s1 - s1", "s1 * s1", "s1 + s2"};
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(pool.formula(i).expression.text(), first[i]);
}

TEST(FormulaPool, FindsPolynomialsHoweverWritten) {
  const FormulaPool& pool = pool_of_three();
  const auto index = pool.find(expand(parse_expression("s3 * s1 + s2 * s3 + s1 - s1", 3)).value());
  ASSERT_TRUE(index);
  EXPECT_EQ(pool.formula(*index).expression.text(), "(s1 + s2) * s3");
  EXPECT_FALSE(pool.find(expand(parse_expression("s1 * s1 * s2 * s2 * s3", 3)).value()));
}

TEST(FormulaPool, ZeroIsTheOnlyConstantAndNeverATask) {
  const FormulaPool& pool = pool_of_three();
  const std::size_t zero = pool.find(programs::Polynomial()).value();
  EXPECT_TRUE(pool.formula(zero).is_constant());
  const std::vector<std::size_t> all = pool.draw_tasks(1101, 3);
  EXPECT_EQ(std::ranges::count(all, zero), 0);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 1101u);
}

TEST(FormulaPool, DrawsAreReproducibleAndPrefixesOfLargerDraws) {
  const FormulaPool& pool = pool_of_three();
  const std::vector<std::size_t> draw = pool.draw_tasks(500, 0);
  EXPECT_EQ(draw, pool.draw_tasks(500, 0));
  EXPECT_NE(draw, pool.draw_tasks(500, 1));
  const std::vector<std::size_t> small = pool.draw_tasks(10, 0);
  EXPECT_TRUE(std::equal(small.begin(), small.end(), draw.begin()));
  // The same on every machine.
  EXPECT_EQ(std::vector(draw.begin(), draw.begin() + 5), (std::vector<std::size_t>{275, 1002, 495, 398, 205}));
}

TEST(FormulaPool, DrawsAreUniform) {
  const FormulaPool pool = FormulaPool::enumerate(3, 1);
  std::map<std::size_t, int> drawn;
  for (std::uint64_t seed = 0; seed < 2100; ++seed) {
    for (const std::size_t index : pool.draw_tasks(5, seed)) ++drawn[index];
  }
  ASSERT_EQ(drawn.size(), 21u);  // each is expected 500 times, standard deviation 20
  for (const auto& [index, count] : drawn) EXPECT_NEAR(count, 500, 100) << index;
}

TEST(FormulaPool, SaysHowManyTasksThereAre) {
  try {
    (void)pool_of_three().draw_tasks(1102, 0);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("there are 1101 formulas"), std::string::npos) << error.what();
  }
}

TEST(ValueTable, HoldsTheFormulasValues) {
  const FormulaPool& pool = pool_of_three();
  for (std::size_t i = 0; i < pool.size(); i += 7) {
    const std::vector<float> table = pool.value_table(i);
    ASSERT_EQ(table.size(), 1000u);
    for (int entry = 0; entry < 1000; ++entry) {
      const std::array symbols = {(entry / 100 + 1) / 10.0, (entry / 10 % 10 + 1) / 10.0, (entry % 10 + 1) / 10.0};
      const double expected = pool.formula(i).expression.evaluate(symbols);
      ASSERT_NEAR(table[entry], expected, 1e-6 * std::max(1.0, std::abs(expected)));
    }
  }
}

TEST(ValueTable, EqualValuesAreBitwiseEqual) {
  const FormulaPool& pool = pool_of_three();
  // 10^4 y is an integer for degrees up to 4: it names the exact value.
  std::map<long long, float> value_of;
  std::map<float, long long> exact_of;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const std::vector<float> table = pool.value_table(i);
    for (int entry = 0; entry < 1000; ++entry) {
      const std::array symbols = {(entry / 100 + 1) / 10.0, (entry / 10 % 10 + 1) / 10.0, (entry % 10 + 1) / 10.0};
      const long long exact = std::llround(pool.formula(i).expression.evaluate(symbols) * 1e4);
      const float value = value_of.try_emplace(exact, table[entry]).first->second;
      ASSERT_EQ(std::memcmp(&value, &table[entry], sizeof value), 0) << pool.formula(i).expression.text();
      ASSERT_EQ(exact_of.try_emplace(value, exact).first->second, exact);
      ASSERT_EQ(value, static_cast<float>(static_cast<double>(exact) / 1e4));
    }
  }
}

TEST(ValueTable, DistinguishesAllFormulas) {
  const FormulaPool& pool = pool_of_three();
  std::set<std::vector<float>> tables;
  for (std::size_t i = 0; i < pool.size(); ++i) tables.insert(pool.value_table(i));
  EXPECT_EQ(tables.size(), pool.size());
}

TEST(ValueTable, CoversFiveSymbols) {
  const FormulaPool pool = FormulaPool::enumerate(5, 1);
  const std::vector<float> table = pool.value_table(pool.find(expand(parse_expression("s1 + s5", 5)).value()).value());
  ASSERT_EQ(table.size(), 100000u);
  EXPECT_EQ(table[30007], 1.2f);  // s1 = 0.4, s5 = 0.8
}

}  // namespace
}  // namespace roap::search
