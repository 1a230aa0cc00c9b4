#include "models/search/formula_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/device.h"
#include "kernels/common/error.h"
#include "models/programs/equality.h"
#include "models/programs/split_mix.h"
#include "models/search/selection.h"

namespace roap::search {
namespace {

using programs::Expression;
using programs::parse_expression;

/// Rows with symbols k/10 and y = formula + noise.
TaskRows rows_of(const Expression& formula, std::size_t rows, std::uint64_t seed, double noise = 0) {
  programs::SplitMix64 generator(seed);
  const auto variables = static_cast<std::size_t>(formula.variables());
  TaskRows task{formula.text(), rows, std::vector<double>(variables * rows), {}};
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> point;
    for (std::size_t j = 0; j < variables; ++j) {
      point.push_back(static_cast<double>(generator.below(10) + 1) / 10);
      task.symbols[j * rows + i] = point.back();
    }
    double normal = -6;  // the sum of twelve uniform numbers is nearly normal
    for (int k = 0; k < 12; ++k) normal += static_cast<double>(generator.below(1 << 20)) / (1 << 20);
    task.y.push_back(formula.evaluate(point) + noise * normal);
  }
  return task;
}

TaskFormulas find(const TaskRows& task, int variables, int max_operators, const char* operators = "add,sub,mul") {
  SearchOptions options;
  options.variables = variables;
  options.max_operators = max_operators;
  options.operators = programs::parse_operators(operators);
  return search_formulas({task}, options).tasks.at(0);
}

bool is_on_front(const TaskFormulas& found, const Expression& gold) {
  return std::ranges::any_of(found.front, [&](const FoundFormula& formula) {
    return programs::prove_equal(formula.expression, gold).equal();
  });
}

/// A sample of the 952 formulas that need three operators; the README has the whole sweep.
std::vector<Expression> some_formulas() {
  const Enumeration pool({.variables = 3, .max_operators = 3});
  std::vector<Expression> formulas;
  for (std::size_t i = pool.level_begin(3); i < pool.size(); i += 23) formulas.push_back(pool.expression(i));
  return formulas;
}

TEST(FormulaSearch, FindsFormulasOfThreeOperatorsFromTwentyRows) {
  std::vector<TaskRows> tasks;
  const std::vector<Expression> formulas = some_formulas();
  for (std::size_t i = 0; i < formulas.size(); ++i) tasks.push_back(rows_of(formulas[i], 20, i));
  SearchOptions options;
  options.max_operators = 4;
  const SearchResult result = search_formulas(tasks, options);
  ASSERT_EQ(result.tasks.size(), formulas.size());
  EXPECT_TRUE(result.complete);
  for (std::size_t i = 0; i < formulas.size(); ++i) {
    const TaskFormulas& found = result.tasks[i];
    EXPECT_TRUE(programs::prove_equal(found.front[found.chosen].expression, formulas[i]).equal()) << found.name;
    EXPECT_LT(found.front[found.chosen].error, 1e-20);
    EXPECT_TRUE(found.rivals.empty()) << found.name << " and " << found.rivals[0];
    EXPECT_EQ(found.front.back().operators, 3) << "nothing is better than exact";
  }
}

TEST(FormulaSearch, KeepsTheFormulaOnTheFrontUnderNoise) {
  int on_front = 0;
  const std::vector<Expression> formulas = some_formulas();
  for (std::size_t i = 0; i < formulas.size(); ++i) {
    const TaskRows exact = rows_of(formulas[i], 500, i);
    double mean = 0;
    double squares = 0;
    for (const double y : exact.y) {
      mean += y / 500;
      squares += y * y / 500;
    }
    const double deviation = std::sqrt(squares - mean * mean);
    on_front += is_on_front(find(rows_of(formulas[i], 20, i, 0.02 * deviation), 3, 4), formulas[i]) ? 1 : 0;
  }
  EXPECT_GE(on_front, 0.95 * static_cast<double>(formulas.size()));
}

TEST(FormulaSearch, TheFrontFallsWithSize) {
  const TaskFormulas found = find(rows_of(parse_expression("(s1 + s2) * s3 - s1 * s1", 3), 30, 1, 0.01), 3, 4);
  ASSERT_GE(found.front.size(), 3u);
  for (std::size_t i = 1; i < found.front.size(); ++i) {
    EXPECT_GT(found.front[i].operators, found.front[i - 1].operators);
    EXPECT_LT(found.front[i].error, found.front[i - 1].error);
  }
  for (const FoundFormula& formula : found.front) {
    EXPECT_NEAR(formula.error_normalised, formula.error / found.variance, 1e-12);
    EXPECT_EQ(formula.expression.tree_operator_count(), formula.operators);
  }
  for (std::size_t i = 1; i < found.others.size(); ++i) EXPECT_GE(found.others[i].error, found.others[i - 1].error);
}

TEST(FormulaSearch, FormulasThatTheRowsCannotTellApartAreTies) {
  // All rows have s1 = s2, so s3 * s1 and s3 * s2 are as good.
  TaskRows task{"", 5, {1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0.5, 0.3, 0.1, 0.7, 2}, {}};
  for (std::size_t i = 0; i < 5; ++i) task.y.push_back(task.symbols[i] * task.symbols[10 + i]);
  const TaskFormulas found = find(task, 3, 2);
  const FoundFormula& chosen = found.front[found.chosen];
  EXPECT_EQ(chosen.expression.text(), "s1 * s3");
  EXPECT_EQ(chosen.ties, (std::vector<std::string>{"s2 * s3"}));
  EXPECT_EQ(found.rivals, (std::vector<std::string>{"s2 * s3"}));
}

TEST(FormulaSearch, UsesTheOtherOperatorsWhenAsked) {
  const std::vector<std::pair<const char*, const char*>> cases = {{"s1 / s2 - s3", "add,sub,mul,div"},
                                                                  {"min(s1, s2) * s3", "add,mul,min,max"},
                                                                  {"max(s1 * s2, s3)", "mul,min,max"},
                                                                  {"(s1 - s2)^2 + s3", "add,sub,square"},
                                                                  {"-(s1 * s2)", "mul,neg"}};
  for (const auto& [text, operators] : cases) {
    const Expression gold = parse_expression(text, 3);
    const TaskFormulas found = find(rows_of(gold, 20, 5), 3, 3, operators);
    const FoundFormula& chosen = found.front[found.chosen];
    EXPECT_LT(chosen.error, 1e-20) << text;
    EXPECT_EQ(chosen.operators, gold.tree_operator_count()) << chosen.expression.text() << " for " << text;
  }
}

TEST(FormulaSearch, ADivisionByZeroInARowRulesAFormulaOut) {
  TaskRows task{"", 3, {0, 1, 2, 1, 1, 1}, {0, 1, 2}};
  for (const FoundFormula& formula : find(task, 2, 2, "div,mul").front) EXPECT_TRUE(std::isfinite(formula.error));
}

TEST(FormulaSearch, ManyRowsAreScreenedAndThenAllJudged) {
  // y follows one formula except in one row, which the screening of every fourth row does not see.
  TaskRows task = rows_of(parse_expression("s1 * s2", 2), 1024, 3);
  task.y[1] += 10;
  const TaskFormulas found = find(task, 2, 2);
  EXPECT_EQ(found.rows, 1024u);
  EXPECT_EQ(found.front[1].expression.text(), "s1 * s2");
  EXPECT_NEAR(found.front[1].error, 100.0 / 1024, 1e-9);
}

TEST(FormulaSearch, TasksAreIndependentOfTheirNeighboursAndOfThreadsAndMemory) {
  std::vector<TaskRows> tasks;
  for (const char* text : {"s1 + s2 * s3", "s1 * s1 - s2", "(s1 - s3) * s2"}) {
    tasks.push_back(rows_of(parse_expression(text, 3), 40, 9, 0.05));
  }
  SearchOptions options;
  options.max_operators = 4;
  const auto texts = [](const SearchResult& result) {
    std::vector<std::string> all;
    for (const TaskFormulas& task : result.tasks) {
      for (const FoundFormula& formula : task.front) all.push_back(formula.expression.text());
      for (const FoundFormula& formula : task.others) all.push_back(formula.expression.text());
      all.insert(all.end(), task.rivals.begin(), task.rivals.end());
    }
    return all;
  };
  set_threads(1);
  const std::vector<std::string> one = texts(search_formulas(tasks, options));
  set_threads(3);
  EXPECT_EQ(texts(search_formulas(tasks, options)), one);
  set_threads(0);
  // So little that each task is searched on its own.
  options.memory = 900'000;
  const SearchResult small = search_formulas(tasks, options);
  ASSERT_TRUE(small.complete);
  EXPECT_EQ(texts(small), one);
}

TEST(FormulaSearch, MemoryLimitsTheSizeOfFormulas) {
  SearchOptions options;
  options.max_operators = 6;
  options.memory = 500'000;
  const SearchResult result = search_formulas({rows_of(parse_expression("s1 * s2", 3), 20, 1)}, options);
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.max_operators, 4);
  options.memory = 1000;
  EXPECT_THROW((void)search_formulas({rows_of(parse_expression("s1", 3), 20, 1)}, options), DeviceError);
}

TEST(FormulaSearch, AConstantYHasNoRelativeError) {
  const TaskFormulas found = find({"", 3, {1, 2, 3}, {0, 0, 0}}, 1, 2);
  EXPECT_EQ(found.variance, 0);
  EXPECT_EQ(found.front[found.chosen].expression.text(), "s1 - s1");
  EXPECT_TRUE(std::isnan(found.front[found.chosen].error_normalised));
}

TEST(Selection, PrefersTheSmallerFormulaOnlyWithinNoise) {
  const auto candidate = [](int operators, double level, double ripple) {
    Candidate c{operators, {}};
    for (int i = 0; i < 100; ++i) c.squared_errors.push_back(level + (i % 2 == 0 ? ripple : -ripple));
    return c;
  };
  // 1 % worse with rows that differ much: noise. Twice as bad: not.
  EXPECT_EQ(select_formula(std::vector{candidate(3, 1.00, 0.5), candidate(2, 1.01, -0.5)}, 1).chosen, 1u);
  EXPECT_EQ(select_formula(std::vector{candidate(3, 1.0, 0.5), candidate(2, 2.0, -0.5)}, 1).chosen, 0u);
  // Exact against nearly exact.
  EXPECT_EQ(select_formula(std::vector{candidate(3, 0, 0), candidate(2, 1e-6, 1e-6)}, 1).chosen, 0u);
  EXPECT_EQ(select_formula(std::vector{candidate(3, 0, 0), candidate(2, 1e-16, 0)}, 1).chosen, 1u) << "rounding";
}

TEST(Selection, NamesTies) {
  const Candidate a{2, {0.1, 0.2, 0.3}};
  const Candidate b{2, {0.3, 0.2, 0.1}};
  const Candidate c{3, {0.1, 0.2, 0.3}};
  const Selection selection = select_formula(std::vector{c, b, a}, 1);
  EXPECT_EQ(selection.chosen, 1u);
  EXPECT_EQ(selection.ties, (std::vector<std::size_t>{2}));
}

}  // namespace
}  // namespace roap::search
