#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/common/error.h"
#include "models/programs/split_mix.h"
#include "models/search/formula_search.h"
#include "models/search_cuda/search_device_cuda.h"
#include "tests/cuda/cuda_test.h"

namespace roap::search {
namespace {

constexpr std::uint64_t kSmallPieces = 500;  // so that levels take many of them

std::unique_ptr<SearchDevice> device(std::uint64_t candidates_at_once = kSmallPieces) {
  set_up_cuda();
  std::unique_ptr<SearchDevice> device = make_cuda_search_device();
  device->set_candidates_at_once(candidates_at_once);
  return device;
}

struct EnumerationCase {
  int variables, max_operators;
  const char* operators;
};

void expect_same_formulas(const Enumeration& expected, const Enumeration& actual) {
  ASSERT_EQ(actual.counts_by_operators(), expected.counts_by_operators());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(actual.op(i), expected.op(i)) << "formula " << i;
    ASSERT_EQ(actual.left(i), expected.left(i)) << "formula " << i;
    ASSERT_EQ(actual.right(i), expected.right(i)) << "formula " << i;
  }
}

TEST(CudaSearch, EnumeratesTheSameFormulasInTheSameOrder) {
  for (const EnumerationCase& c :
       {EnumerationCase{3, 3, "add,sub,mul"}, EnumerationCase{1, 5, "add,sub,mul"}, EnumerationCase{5, 2, "mul,sub"},
        EnumerationCase{2, 3, "add,mul,neg,square"}, EnumerationCase{3, 0, "add"}}) {
    EnumerationOptions options{.variables = c.variables, .max_operators = c.max_operators};
    options.operators = programs::parse_operators(c.operators);
    const Enumeration expected(options);
    for (const std::uint64_t at_once : {std::uint64_t{1}, kSmallPieces, std::uint64_t{1} << 22}) {
      if (at_once == 1 && expected.size() > 300) continue;
      const auto gpu = device(at_once);
      options.device = gpu.get();
      SCOPED_TRACE(std::string(c.operators) + ", pieces of " + std::to_string(at_once));
      expect_same_formulas(expected, Enumeration(options));
    }
  }
}

TEST(CudaSearch, ALevelThatMemoryCannotHoldIsDroppedThereToo) {
  EnumerationOptions options{.variables = 3, .max_operators = 4, .memory = 100'000};
  const Enumeration expected(options);
  ASSERT_FALSE(expected.complete());
  const auto gpu = device();
  options.device = gpu.get();
  const Enumeration actual(options);
  EXPECT_FALSE(actual.complete());
  expect_same_formulas(expected, actual);
}

/// Noisy rows of a formula over three symbols.
TaskRows rows_of(const char* formula, std::size_t rows, double noise, std::uint64_t seed) {
  const programs::Expression expression = programs::parse_expression(formula, 3);
  programs::SplitMix64 generator(seed);
  TaskRows task{formula, rows, std::vector<double>(3 * rows), {}};
  const auto uniform = [&] { return static_cast<double>(generator.below(1 << 20)) / (1 << 20); };
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> point;
    for (std::size_t j = 0; j < 3; ++j) task.symbols[j * rows + i] = point.emplace_back(uniform());
    task.y.push_back(expression.evaluate(point) + noise * (uniform() - 0.5));
  }
  return task;
}

std::vector<std::string> texts(const std::vector<FoundFormula>& formulas) {
  std::vector<std::string> list;
  for (const FoundFormula& formula : formulas) list.push_back(formula.expression.text());
  return list;
}

TEST(CudaSearch, FindsWhatTheCpuFinds) {
  const std::vector<TaskRows> tasks = {rows_of("s1 * s2 - s3", 20, 0, 1), rows_of("s1 - s2 * s2 * s3", 31, 0.05, 2),
                                       rows_of("s2", 3, 0.5, 3), rows_of("(s1 + s2) * s3", 300, 0.02, 4)};
  SearchOptions options;
  options.max_operators = 3;
  const SearchResult expected = search_formulas(tasks, options);
  for (const std::uint64_t at_once : {kSmallPieces, std::uint64_t{1} << 22}) {
    const auto gpu = device(at_once);
    options.device = gpu.get();
    const SearchResult actual = search_formulas(tasks, options);
    EXPECT_EQ(actual.candidates, expected.candidates);
    EXPECT_EQ(actual.max_operators, expected.max_operators);
    EXPECT_TRUE(actual.complete);
    ASSERT_EQ(actual.tasks.size(), expected.tasks.size());
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      const TaskFormulas &want = expected.tasks[t], &got = actual.tasks[t];
      EXPECT_EQ(texts(got.front), texts(want.front)) << want.name;
      EXPECT_EQ(texts(got.others), texts(want.others)) << want.name;
      EXPECT_EQ(got.chosen, want.chosen) << want.name;
      EXPECT_EQ(got.rivals, want.rivals) << want.name;
    }
  }
}

TEST(CudaSearch, AnOperatorWithoutAValueModuloAPrimeIsRefused) {
  const auto gpu = device();
  for (const char* operators : {"add,div", "mul,min", "max"}) {
    EnumerationOptions options{.variables = 2, .max_operators = 1};
    options.operators = programs::parse_operators(operators);
    options.device = gpu.get();
    EXPECT_THROW(Enumeration{options}, UsageError) << operators;
  }
}

}  // namespace
}  // namespace roap::search
