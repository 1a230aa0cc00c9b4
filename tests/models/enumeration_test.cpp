#include "models/search/enumeration.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "kernels/common/error.h"
#include "models/programs/polynomial.h"

namespace roap::search {
namespace {

using programs::Operator;
using programs::parse_operators;

std::vector<std::size_t> counts(int variables, int operators, const char* names = "add,sub,mul") {
  return Enumeration({.variables = variables, .max_operators = operators, .operators = parse_operators(names)})
      .counts_by_operators();
}

TEST(Enumeration, HasTheKnownCounts) {
  EXPECT_EQ(counts(3, 4), (std::vector<std::size_t>{3, 19, 128, 952, 7502}));
  EXPECT_EQ(counts(3, 0), (std::vector<std::size_t>{3}));
  EXPECT_EQ(counts(1, 1), (std::vector<std::size_t>{1, 3}));
}

/// Distinct polynomials of every way to write a formula, without identities modulo primes and without skipped mirrors.
TEST(Enumeration, CountsArePolynomialsCountedByHand) {
  for (const int variables : {1, 2, 4}) {
    constexpr int kOperators = 3;
    std::set<std::string> seen;
    std::vector<std::vector<programs::Polynomial>> levels(kOperators + 1);
    for (int v = 0; v < variables; ++v) {
      levels[0].push_back(programs::Polynomial::variable(v));
      seen.insert(levels[0].back().text());
    }
    for (int k = 1; k <= kOperators; ++k) {
      for (int left = 0; left < k; ++left) {
        for (const auto& a : levels[left]) {
          for (const auto& b : levels[k - 1 - left]) {
            for (const Operator op : {Operator::add, Operator::sub, Operator::mul}) {
              const auto polynomial = combine(op, a, b).value();
              if (seen.insert(polynomial.text()).second) levels[k].push_back(polynomial);
            }
          }
        }
      }
    }
    std::vector<std::size_t> expected;
    for (const auto& level : levels) expected.push_back(level.size());
    EXPECT_EQ(counts(variables, kOperators), expected) << variables;
  }
}

TEST(Enumeration, ExpressionsHaveTheOperatorsOfTheirLevelAndAreDistinct) {
  const Enumeration all({.variables = 2, .max_operators = 3});
  std::set<std::string> polynomials;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const programs::Expression expression = all.expression(i);
    EXPECT_EQ(expression.tree_operator_count(), all.operator_count(i)) << expression.text();
    EXPECT_TRUE(polynomials.insert(expand(expression).value().text()).second) << expression.text();
  }
}

TEST(Enumeration, DivisionIsIdentityOfRationalFunctions) {
  // Over one symbol with at most one operator: s, then s + s, 0, s * s and 1.
  EXPECT_EQ(counts(1, 1, "add,sub,mul,div"), (std::vector<std::size_t>{1, 4}));
  const Enumeration all({.variables = 2, .max_operators = 2, .operators = parse_operators("sub,div")});
  std::set<std::string> texts;
  for (std::size_t i = 0; i < all.size(); ++i) texts.insert(all.expression(i).text());
  EXPECT_TRUE(texts.contains("s1 / s2 / s2"));
  EXPECT_FALSE(texts.contains("s1 / (s2 / s2)")) << "the same as s1";
  const auto zero = static_cast<std::uint32_t>(all.constants().front());
  ASSERT_EQ(all.expression(zero).text(), "s1 - s1");
  EXPECT_FALSE(all.key(Operator::div, 0, zero)) << "a quotient by zero has no value";
  for (const std::string& text : texts) EXPECT_EQ(text.find("/ (s1 - s1)"), std::string::npos) << text;
}

TEST(Enumeration, MinAndMaxAreIdentityOfValues) {
  const Enumeration all({.variables = 2, .max_operators = 2, .operators = parse_operators("add,min,max")});
  std::set<std::string> texts;
  for (std::size_t i = 0; i < all.size(); ++i) texts.insert(all.expression(i).text());
  EXPECT_TRUE(texts.contains("min(s1, s2)"));
  EXPECT_FALSE(texts.contains("min(s2, s1)"));
  EXPECT_FALSE(texts.contains("min(min(s1, s2), s1)")) << "the same as min(s1, s2)";
  // The values that formulas take identify exactly the polynomials where there are only those.
  EXPECT_EQ(Enumeration({.variables = 3, .max_operators = 3, .points = generic_points(3, 5)}).counts_by_operators(),
            counts(3, 3));
}

TEST(Enumeration, UnaryOperatorsCountOnce) {
  // s; -s and s^2; then s^2^2 and -s^2 ((-s)^2 is s^2, --s is s).
  EXPECT_EQ(counts(1, 2, "neg,square"), (std::vector<std::size_t>{1, 2, 2}));
  // With unary operators alone a level can be empty; nothing comes after it.
  EXPECT_EQ(counts(1, 3, "neg"), (std::vector<std::size_t>{1, 1, 0, 0}));
}

TEST(Enumeration, OnGivenPointsFormulasWithEqualValuesAreOne) {
  // At s1 = s2 = 1 all formulas are whole numbers: 1, 2, 0, then 3, -1 and so on.
  const Enumeration one({.variables = 2, .max_operators = 2, .points = {1.0, 1.0}});
  EXPECT_EQ(one.counts_by_operators(), (std::vector<std::size_t>{2, 2, 2}));
}

TEST(Enumeration, MemoryEndsItAtAWholeLevel) {
  const Enumeration all({.variables = 3, .max_operators = 4});
  const std::size_t enough = all.bytes();
  for (const std::size_t memory : {enough / 2, enough / 8, std::size_t{100'000}}) {
    const Enumeration part({.variables = 3, .max_operators = 4, .memory = memory});
    EXPECT_FALSE(part.complete());
    EXPECT_LE(part.bytes(), memory);
    EXPECT_LT(part.max_operators(), 4);
    const auto counted = part.counts_by_operators();
    EXPECT_TRUE(std::equal(counted.begin(), counted.end(), all.counts_by_operators().begin()));
    // What was dropped is really gone: its keys are free again.
    const std::size_t last = all.level_begin(part.max_operators() + 1);
    EXPECT_FALSE(part.contains(*part.key(all.op(last), all.left(last), all.right(last))));
  }
  EXPECT_TRUE(Enumeration({.variables = 3, .max_operators = 4, .memory = 3 * enough}).complete());
  EXPECT_THROW(Enumeration({.variables = 3, .max_operators = 1, .memory = 1000}), DeviceError);
  // Room for what the caller will add counts too.
  EXPECT_LT(Enumeration({.variables = 3, .max_operators = 4, .memory = 3 * enough, .reserved_per_formula = 1000})
                .max_operators(),
            4);
}

TEST(Enumeration, BlocksVisitEveryCandidateOfALevelOnce) {
  const Enumeration all({.variables = 2, .max_operators = 2, .operators = parse_operators("add,sub,neg")});
  std::set<Key> keys;
  std::size_t candidates = 0;
  for (const Enumeration::Block& block : all.blocks(2)) {
    all.for_each_candidate(block, block.left_begin, block.left_end, [&](Operator op, std::uint32_t a, std::uint32_t b) {
      ++candidates;
      keys.insert(all.key(op, a, b).value());
      return true;
    });
  }
  EXPECT_GT(candidates, keys.size());
  for (std::size_t i = all.level_begin(2); i < all.size(); ++i) {
    EXPECT_TRUE(keys.contains(all.key(all.op(i), all.left(i), all.right(i)).value()));
  }
}

TEST(Enumeration, KnowsItsConstants) {
  const Enumeration pool({.variables = 3, .max_operators = 3});
  ASSERT_EQ(pool.constants().size(), 1u);
  EXPECT_EQ(pool.expression(pool.constants()[0]).text(), "s1 - s1");
  const Enumeration ratios({.variables = 1, .max_operators = 2, .operators = parse_operators("add,sub,div")});
  std::set<std::string> constants;
  for (const std::size_t i : ratios.constants()) constants.insert(ratios.expression(i).text());
  EXPECT_EQ(constants, (std::set<std::string>{"s1 - s1", "s1 / s1", "(s1 + s1) / s1", "s1 / (s1 + s1)"}));
}

TEST(Enumeration, ReportsProgress) {
  double last = 0;
  int reports = 0;
  const Enumeration all({.variables = 3, .max_operators = 5, .progress = [&](const SearchProgress& p) {
                           EXPECT_GE(p.operators + p.share, last);
                           last = p.operators + p.share;
                           EXPECT_LE(p.share, 1.0);
                           ++reports;
                         }});
  EXPECT_GT(reports, 0);
}

TEST(Enumeration, RefusesImpossibleSizes) {
  EXPECT_THROW(Enumeration({.variables = 0}), UsageError);
  EXPECT_THROW(Enumeration({.variables = 9}), UsageError);
  EXPECT_THROW(Enumeration({.variables = 3, .max_operators = -1}), UsageError);
  EXPECT_THROW(Enumeration({.variables = 3, .max_operators = 13}), UsageError);
}

}  // namespace
}  // namespace roap::search
