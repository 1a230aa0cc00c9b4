#include "models/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "engine/device.h"
#include "tests/models/small_problem.h"

namespace roap {
namespace {

// Training code holds a PairSource: neither it nor a Trainer leads to gold symbols or formulas.
static_assert(std::is_abstract_v<PairSource>);
static_assert(!std::is_constructible_v<Trainer, Model&, const Gold&>);
static_assert(!std::is_constructible_v<Trainer, Model&, const Benchmark&>);
static_assert(!std::is_convertible_v<const PairSource&, const Gold&>);

/// Always the same pairs: what "overfit one batch" trains on.
class OneBatch : public PairSource {
 public:
  explicit OneBatch(const PairSource& source) : source_(source) {}
  [[nodiscard]] int tasks() const override { return source_.tasks(); }
  [[nodiscard]] int symbols() const override { return source_.symbols(); }
  [[nodiscard]] const ImageSet& images() const override { return source_.images(); }
  [[nodiscard]] std::span<const float> sigma() const override { return source_.sigma(); }
  void draw(const RandomKey& /*key*/, int pairs, std::span<std::int32_t> index, std::span<float> y) const override {
    source_.draw(random_key(1, RandomStream::test, 0), pairs, index, y);
  }

 private:
  const PairSource& source_;
};

double median(std::vector<double>::iterator begin, std::vector<double>::iterator end) {
  std::vector<double> values(begin, end);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

class OverfitOneBatch : public testing::TestWithParam<const char*> {};

TEST_P(OverfitOneBatch, TheErrorFallsFarBelowTheVariance) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  const OneBatch batch(*benchmark.train);
  Config config = small_config(4, GetParam());
  config.train.sharpness = config.train.sharpness_late = 2;
  config.train.lr = 1e-2;
  config.search.max_operators = 1;
  Model model(config, problem_shape(batch));
  Trainer trainer(model, batch);
  std::vector<double> errors;
  for (int step = 0; step < 400; ++step) {
    const StepReport report = trainer.step();
    ASSERT_FALSE(report.skipped) << report.diagnosis;
    errors.push_back(report.mean_error);
  }
  // Medians, because a single noisy sample of a program can be far off.
  const double first = median(errors.begin(), errors.begin() + 10);
  const double last = median(errors.end() - 100, errors.end());
  EXPECT_LT(last, first / 2);
  if (config.train.method == "softmax" || method_parts(config).head) {
    EXPECT_LT(last, 0.1);  // without noise it goes to the end
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, OverfitOneBatch,
                         testing::Values("roap", "free", "softmax", "tree", "hybrid", "mlp-disjoint", "mlp-onehot"));

std::vector<float> train_few_steps(const Config& config, int threads, int steps) {
  set_threads(threads);
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, static_cast<int>(config.tasks.count));
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  for (int step = 0; step < steps; ++step) trainer.step();
  set_threads(0);
  return model.store().read(model.store().all(Arena::weights));
}

TEST(Trainer, SameBitsForOneAndTwoThreadsAndFromRunToRun) {
  const Config config = small_config(9);
  const std::vector<float> one = train_few_steps(config, 1, 12);
  EXPECT_EQ(one, train_few_steps(config, 2, 12));
  EXPECT_EQ(one, train_few_steps(config, 1, 12));
  Config other = config;
  other.train.seed = 1;
  EXPECT_NE(one, train_few_steps(other, 1, 12));
}

// Three runs of four steps each are screened; the best one goes on for six more.
Config config_of_runs() {
  Config config = small_config(6);
  config.train.runs = 3;
  config.train.screen_steps = 4;
  config.train.steps = 10;
  return config;
}

TEST(Trainer, TheBestOfSeveralRunsGoesOnWhereItWas) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, 6);
  const Config config = config_of_runs();
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  EXPECT_EQ(trainer.total_steps(), 18U);
  const auto weights = [&] { return model.store().read(model.store().all(Arena::weights)); };
  std::vector<std::vector<float>> first;
  std::vector<std::vector<float>> last;
  std::vector<double> loss;
  for (int run = 0; run < 3; ++run) {
    first.push_back(weights());
    EXPECT_EQ(trainer.step_of_run(trainer.state().step), 0U);
    EXPECT_THROW(trainer.end_run(), UsageError);
    for (int step = 0; step < 4; ++step) trainer.step();
    EXPECT_THROW(trainer.step(), UsageError);
    last.push_back(weights());
    const Trainer::RunEnd end = trainer.end_run();
    loss.push_back(end.loss);
    EXPECT_EQ(end.chosen, run == 2);
    EXPECT_EQ(end.best->loss, *std::min_element(loss.begin(), loss.end()));
  }
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  const auto best = static_cast<std::size_t>(std::min_element(loss.begin(), loss.end()) - loss.begin());
  EXPECT_EQ(weights(), last[best]);
  EXPECT_EQ(model.store().read(model.store().slot(kAdamStep, Arena::buffers))[0], 4);
  EXPECT_EQ(trainer.step_of_run(trainer.state().step), 4U);
  for (int step = 0; step < 6; ++step) trainer.step();
  EXPECT_EQ(trainer.state().step, trainer.total_steps());
}

TEST(Trainer, ALaterRunStartsLikeAFreshOneOfOtherWeights) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, 6);
  const Config config = config_of_runs();
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  const double rate = trainer.schedule(0).rate;
  for (int step = 0; step < 4; ++step) trainer.step();
  trainer.end_run();
  for (const Arena arena : {Arena::moment1, Arena::moment2}) {
    for (const float value : model.store().read(model.store().all(arena))) ASSERT_EQ(value, 0);
  }
  EXPECT_EQ(model.store().read(model.store().slot(kAdamStep, Arena::buffers))[0], 0);
  EXPECT_EQ(trainer.schedule(4).rate, rate);
}

TEST(Trainer, SeveralSamplesTrainToo) {
  Config config = small_config(5);
  config.train.samples = 3;
  const std::vector<float> weights = train_few_steps(config, 2, 5);
  for (const float w : weights) ASSERT_TRUE(std::isfinite(w));
  config.train.samples = 1;
  EXPECT_NE(weights, train_few_steps(config, 2, 5));
}

TEST(Trainer, ANonFiniteStepIsSkippedAndLeavesAllStateUntouched) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  const Config config = small_config(4);
  Model model(config, problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  trainer.step();
  ParameterStore& store = model.store();
  // A huge last layer: symbols of 1e30 whose squares and products overflow.
  store.write(store.slot("grounder.fc.bias"), std::vector<float>{1e30f});
  const auto state = [&] {
    std::vector<std::vector<float>> all;
    for (const Arena arena : {Arena::weights, Arena::moment1, Arena::moment2, Arena::buffers}) {
      all.push_back(store.read(store.all(arena)));
    }
    return all;
  };
  const auto before = state();
  const StepReport report = trainer.step();
  EXPECT_TRUE(report.skipped);
  EXPECT_FALSE(report.diagnosis.empty());
  EXPECT_EQ(state(), before);
  EXPECT_EQ(trainer.state().skipped_steps, 1u);
  EXPECT_EQ(trainer.state().skips_in_a_row, 1u);
  EXPECT_EQ(trainer.state().step, 2u);
}

TEST(Trainer, TheDiagnosisNamesTaskAndLine) {
  const Sketch sketch = Sketch::straight_line(2, 3);
  std::vector<float> z(static_cast<std::size_t>(sketch.logit_count()), 0.0f);
  const StraightLineLayout layout{2, 3};
  for (int line = 0; line < 3; ++line) {  // each line squares the one before
    z[static_cast<std::size_t>(layout.operators(line) + 2)] = 1;
    z[static_cast<std::size_t>(layout.left(line) + line + 1)] = 1;
    z[static_cast<std::size_t>(layout.right(line) + line + 1)] = 1;
  }
  const std::vector<float> symbols{0.0f, 1e12f};
  EXPECT_EQ(sketch.first_non_finite_line(z, symbols), 2);
  EXPECT_EQ(sketch.first_non_finite_line(z, std::vector<float>{0.0f, 2.0f}), 0);
}

TEST(Benchmark, PairsAreAFunctionOfTheKeyAndMatchGold) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  const Benchmark benchmark = small_benchmark(pool, 11);
  std::vector<std::int32_t> index(3 * 50);
  std::vector<float> y(11 * 50);
  benchmark.train->draw(random_key(5, RandomStream::test, 9), 50, index, y);
  for (int b = 0; b < 50; ++b) {
    std::vector<double> symbols;
    for (int j = 0; j < 3; ++j)
      symbols.push_back(benchmark.gold->symbol_of(Split::train, index[static_cast<std::size_t>(3 * b + j)]) / 10.0);
    for (int t = 0; t < 11; ++t) {
      const double expected = benchmark.gold->tasks()[static_cast<std::size_t>(t)].formula.evaluate(symbols);
      EXPECT_NEAR(y[static_cast<std::size_t>(t * 50 + b)], expected, 1e-6);
    }
  }
  std::vector<std::int32_t> again(3 * 50);
  benchmark.train->draw(random_key(5, RandomStream::test, 9), 50, again, y);
  EXPECT_EQ(index, again);
  benchmark.train->draw(random_key(5, RandomStream::test, 10), 50, again, y);
  EXPECT_NE(index, again);
}

TEST(Benchmark, AClassWithoutImagesIsRefused) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  BenchmarkImages images{1, 1, 1, {}, {}, {{0}, {0}}, {{0}, {0}}};
  EXPECT_THROW(make_benchmark(std::move(images), pool, 1, 0), DataError);
}

}  // namespace
}  // namespace roap
