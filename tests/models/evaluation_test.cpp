#include "models/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "models/trainer.h"
#include "tests/models/small_problem.h"

namespace roap {
namespace {

Config marginal(int tasks, int steps) {
  Config config = small_config(tasks, "marginal");
  config.tasks.seed = 3;  // as small_benchmark draws
  config.search.max_operators = 2;
  config.train.steps = steps;
  config.train.lr = 1e-2;
  config.train.clip = 1;
  config.train.regauge = 10;
  return config;
}

struct Trained {
  search::FormulaPool pool = search::FormulaPool::enumerate(3, 2);
  Benchmark benchmark;
  Model model;
  explicit Trained(const Config& config)
      : benchmark(small_benchmark(pool, static_cast<int>(config.tasks.count))),
        model(config, problem_shape(*benchmark.train)) {
    if (config.train.steps == 0) return;
    Trainer trainer(model, *benchmark.train);
    for (int step = 0; step < config.train.steps; ++step) trainer.step();
  }
};

/// g(x) = value for every image.
void ground_to_constant(Model& model, float value) {
  ParameterStore& store = model.store();
  const Slot weight = store.slot("grounder.fc.weight");
  store.write(weight, std::vector<float>(static_cast<std::size_t>(weight.shape.count()), 0.0f));
  store.write(store.slot("grounder.fc.bias"), std::vector<float>{value});
}

TEST(Evaluation, SolvedAndOtherTasksTogetherMakeAllTasks) {
  Config config = small_config(6, "softmax");
  config.train.steps = 60;
  Trained run(config);
  const Evaluation e = evaluate(run.model, run.benchmark, run.pool);
  Loss solved, unsolved;
  int count = 0;
  for (const TaskResult& task : e.tasks) {
    Loss& sum = task.solved.value() ? solved : unsolved;
    sum.raw += task.test_loss.raw;
    sum.normalised += task.test_loss.normalised;
    count += task.solved.value() ? 1 : 0;
  }
  EXPECT_EQ(count, e.solved);
  EXPECT_EQ(e.test_loss_solved.has_value(), count > 0);
  EXPECT_EQ(e.test_loss_unsolved.has_value(), count < 6);
  EXPECT_NEAR(e.test_loss_solved.value_or(Loss{}).raw * count, solved.raw, 1e-9);
  EXPECT_NEAR(e.test_loss_unsolved.value_or(Loss{}).normalised * (6 - count), unsolved.normalised, 1e-9);
  EXPECT_NEAR(e.test_loss.raw, (solved.raw + unsolved.raw) / 6, 1e-9);
}

TEST(Evaluation, AConstantGrounderIsWorthTheVarianceOfTheSymbols) {
  Trained run(marginal(20, 0));
  ground_to_constant(run.model, 0.55f);
  const Evaluation e = evaluate(run.model, run.benchmark, run.pool, {.verdicts = false});
  EXPECT_NEAR(e.train->loss, 0.0825, 1e-6) << "of 0.1, 0.2, ... 1";
  EXPECT_NEAR(e.train->class_mean_loss, 0.0825, 1e-6);
  EXPECT_NEAR(e.test->loss, 0.0825, 1e-6);
  EXPECT_EQ(e.run_success(), false);
  EXPECT_EQ(e.run_success_strict(), false);
}

TEST(Evaluation, SuccessOfARunHasTwoThresholds) {
  Evaluation e;
  EXPECT_EQ(e.run_success(), std::nullopt) << "without known symbols";
  e.train.emplace();
  e.test.emplace();
  e.test->loss = 0.05;
  e.train->right = 0.9;
  EXPECT_EQ(e.run_success(), true);
  EXPECT_EQ(e.run_success_strict(), true);
  e.test->loss = 0.0500001;
  e.train->right = 0.89;
  EXPECT_EQ(e.run_success(), false);
  EXPECT_EQ(e.run_success_strict(), false);
  e.test->loss = std::nan("");
  EXPECT_EQ(e.run_success(), false);
}

TEST(Evaluation, RightSymbolsAndFormulasPredictOnAllPairs) {
  Trained run(marginal(30, 120));
  EvaluationOptions options;
  options.new_tasks = 1000;
  const Evaluation e = evaluate(run.model, run.benchmark, run.pool, options);
  ASSERT_EQ(e.solved_exact, 30);
  EXPECT_FALSE(e.test_loss_unsolved);
  EXPECT_LT(e.train_loss.normalised, 0.02);
  EXPECT_LT(e.test_loss.normalised, 0.02);
  // New formulas are found from the lower half of the symbols and hold on the upper one.
  ASSERT_TRUE(e.generalisation);
  EXPECT_EQ(e.generalisation->tasks, static_cast<int>(run.pool.usable().size()) - 30) << "no more are left";
  EXPECT_LT(e.generalisation->loss.normalised, 0.05);
  EXPECT_EQ(e.run_success(), true);
  EXPECT_EQ(e.run_success_strict(), true);
}

// A grounder that always says 0.3 makes every formula of no operators predict 0.3, whatever was found.
TEST(Generalisation, IsJudgedOnLargerSymbols) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 0);  // s1, s2, s3
  const Benchmark benchmark = small_benchmark(pool, 1);
  Config config = marginal(1, 0);
  config.tasks.max_operators = config.search.max_operators = 0;
  Model model(config, problem_shape(*benchmark.train));
  ground_to_constant(model, 0.3f);
  const auto result = measure_generalisation(model, benchmark, pool, {.tasks = 2, .pairs = 4000});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->tasks, 2);
  // Of symbols 0.6 .. 1, mean 0.8, variance 0.02: 0.5^2 + 0.02; their variance over all levels is 0.0825.
  EXPECT_NEAR(result->loss.raw, 0.27, 0.01);
  EXPECT_NEAR(result->loss.normalised, 0.27 / 0.0825, 0.01 / 0.0825);
}

TEST(Generalisation, NothingWithoutNewTasksAndNoNumberFromABrokenGrounder) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 0);
  const Benchmark benchmark = small_benchmark(pool, 3);
  Config config = marginal(3, 0);
  config.tasks.max_operators = config.search.max_operators = 0;
  Model all(config, problem_shape(*benchmark.train));
  EXPECT_FALSE(measure_generalisation(all, benchmark, pool));
  config.tasks.count = 2;
  Model some(config, problem_shape(*benchmark.train));
  ground_to_constant(some, NAN);
  const auto result = measure_generalisation(some, benchmark, pool);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->tasks, 1);
  EXPECT_TRUE(std::isnan(result->loss.raw));
}

}  // namespace
}  // namespace roap
