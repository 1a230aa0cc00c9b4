#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/device.h"
#include "models/evaluation.h"
#include "models/head_fit.h"
#include "models/trainer.h"
#include "tests/models/small_problem.h"

namespace roap {
namespace {

std::vector<float> head_weights(ParameterStore& store, const std::string& name) {
  return store.read(store.slot("head." + name));
}

/// One of the tasks' MLPs by plain loops: `layers` are weights and biases, [out, in] and [out].
double plain_mlp(const std::vector<std::vector<double>>& layers, std::vector<double> x) {
  for (std::size_t layer = 0; layer < layers.size(); layer += 2) {
    std::vector<double> next = layers[layer + 1];
    for (std::size_t o = 0; o < next.size(); ++o) {
      for (std::size_t i = 0; i < x.size(); ++i) next[o] += layers[layer][o * x.size() + i] * x[i];
      if (layer + 2 < layers.size()) next[o] = std::max(0.0, next[o]);
    }
    x = next;
  }
  return x[0];
}

std::vector<double> part(const std::vector<float>& values, std::size_t index, std::size_t size) {
  return {values.begin() + static_cast<std::ptrdiff_t>(index * size),
          values.begin() + static_cast<std::ptrdiff_t>((index + 1) * size)};
}

constexpr int kTasks = 3, kWidth = 5, kVariables = 2;

/// More pairs than a batch of the predictor has, the last batch not full.
std::vector<float> some_symbols() {
  std::vector<float> symbols;
  for (int i = 0; i < 131 * kVariables; ++i) symbols.push_back(std::sin(static_cast<float>(7 * i)));
  return symbols;
}

TEST(MlpHead, DisjointIsOnePlainMlpPerTask) {
  ParameterStore store;
  MlpPredictor predictor(store, {MlpHeadConfig::Kind::disjoint, kTasks, kWidth}, kVariables);
  store.initialize(3);
  const std::vector<float> symbols = some_symbols();
  const std::vector<float> y = predictor.predict(symbols);
  const std::size_t pairs = symbols.size() / kVariables;
  ASSERT_EQ(y.size(), kTasks * pairs);
  for (std::size_t t = 0; t < kTasks; ++t) {
    std::vector<std::vector<double>> layers;
    for (const char* layer : {"0", "2", "4"}) {
      for (const char* kind : {".weight", ".bias"}) {
        const std::vector<float> all = head_weights(store, std::string(layer) + kind);
        layers.push_back(part(all, t, all.size() / kTasks));
      }
    }
    for (std::size_t b = 0; b < pairs; ++b) {
      EXPECT_NEAR(y[t * pairs + b], plain_mlp(layers, part(symbols, b, kVariables)), 1e-6) << t << " " << b;
    }
  }
}

TEST(MlpHead, OneHotIsOnePlainMlpWithTheCodeAppended) {
  ParameterStore store;
  MlpPredictor predictor(store, {MlpHeadConfig::Kind::one_hot, kTasks, kWidth}, kVariables);
  store.initialize(3);
  const std::vector<float> symbols = some_symbols();
  const std::vector<float> y = predictor.predict(symbols);
  const std::size_t pairs = symbols.size() / kVariables;
  const std::vector<float> of_symbols = head_weights(store, "0.weight");  // [width, V]
  const std::vector<float> of_tasks = head_weights(store, "0.bias");      // [T, width]
  ASSERT_EQ(of_symbols.size(), kWidth * kVariables);
  ASSERT_EQ(of_tasks.size(), kTasks * kWidth);
  std::vector<double> first;  // [width, V + T]
  for (std::size_t o = 0; o < kWidth; ++o) {
    for (std::size_t i = 0; i < kVariables; ++i) first.push_back(of_symbols[o * kVariables + i]);
    for (std::size_t t = 0; t < kTasks; ++t) first.push_back(of_tasks[t * kWidth + o]);
  }
  std::vector<std::vector<double>> layers{first, std::vector<double>(kWidth, 0.0)};
  for (const char* name : {"2.weight", "2.bias", "4.weight", "4.bias"}) {
    const std::vector<float> all = head_weights(store, name);
    layers.push_back(part(all, 0, all.size()));
  }
  for (std::size_t t = 0; t < kTasks; ++t) {
    for (std::size_t b = 0; b < pairs; ++b) {
      std::vector<double> x = part(symbols, b, kVariables);
      for (std::size_t other = 0; other < kTasks; ++other) x.push_back(other == t ? 1 : 0);
      EXPECT_NEAR(y[t * pairs + b], plain_mlp(layers, x), 1e-6) << t << " " << b;
    }
  }
}

TEST(MlpHead, StartsLikePyTorchsLinearLayers) {
  const auto largest = [](const std::vector<float>& values) { return std::abs(*std::ranges::max_element(values)); };
  for (const auto kind : {MlpHeadConfig::Kind::disjoint, MlpHeadConfig::Kind::one_hot}) {
    ParameterStore store;
    const MlpPredictor predictor(store, {kind, 40, 30}, kVariables);
    store.initialize(0);
    const double inputs = kind == MlpHeadConfig::Kind::one_hot ? kVariables + 40 : kVariables;
    EXPECT_NEAR(largest(head_weights(store, "0.bias")), 1 / std::sqrt(inputs), 0.05 / std::sqrt(inputs));
    EXPECT_NEAR(largest(head_weights(store, "2.weight")), 1 / std::sqrt(30), 0.05 / std::sqrt(30));
  }
}

TEST(HeadFit, LearnsFormulasFromNumbers) {
  std::vector<float> symbols;
  std::vector<float> y(2 * 200);
  for (std::size_t b = 0; b < 200; ++b) {
    const float s = std::sin(static_cast<float>(3 * b)), t = std::cos(static_cast<float>(5 * b));
    symbols.insert(symbols.end(), {s, t});
    y[b] = s * t;
    y[200 + b] = 10 * (s + t);
  }
  const std::vector<float> sigma{0.5f, 10};
  const HeadFitOptions options{.width = 24, .steps = 600, .pairs_per_step = 64};
  const std::vector<float> yhat = fit_heads({2, symbols, y, sigma}, symbols, options, DeviceKind::cpu);
  ASSERT_EQ(yhat.size(), y.size());
  for (std::size_t t = 0; t < 2; ++t) {
    double error = 0;
    for (std::size_t b = 0; b < 200; ++b) error += std::pow((yhat[t * 200 + b] - y[t * 200 + b]) / sigma[t], 2) / 200;
    EXPECT_LT(error, 0.01) << t;
  }
  EXPECT_EQ(fit_heads({2, symbols, y, sigma}, symbols, options, DeviceKind::cpu), yhat) << "not repeatable";
}

class Mlp : public testing::TestWithParam<const char*> {};

TEST_P(Mlp, HasNoProgramsAndPredictsAllTheSame) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  Config config = small_config(4, GetParam());
  config.train.samples = 8;  // of programs: none here
  config.train.lr = 1e-2;
  Model model(config, problem_shape(*benchmark.train));
  for (const ParameterInfo& info : model.store().weights()) {
    EXPECT_TRUE(info.name.starts_with("grounder.") || info.name.starts_with("head.")) << info.name;
  }
  Trainer trainer(model, *benchmark.train);
  for (int step = 0; step < 150; ++step) {
    const StepReport report = trainer.step();
    ASSERT_FALSE(report.skipped) << report.diagnosis;
  }
  EvaluationOptions options;
  options.new_tasks = 5;
  const Evaluation evaluation = evaluate(model, benchmark, pool, options);
  EXPECT_EQ(evaluation.solved, 0);
  EXPECT_EQ(evaluation.solved_exact, 0);
  EXPECT_FALSE(evaluation.program_length || evaluation.formula_length);
  for (const TaskResult& task : evaluation.tasks) EXPECT_FALSE(task.program || task.formula);
  EXPECT_LT(evaluation.test_loss.normalised, 0.2);
  EXPECT_LT(evaluation.train_loss.normalised, 0.2);
  ASSERT_TRUE(evaluation.generalisation);
  EXPECT_EQ(evaluation.generalisation->tasks, 5);
  EXPECT_TRUE(std::isfinite(evaluation.generalisation->loss.raw));
}

TEST_P(Mlp, SameBitsForOneAndTwoThreads) {
  const auto train = [](int threads) {
    set_threads(threads);
    const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
    const Benchmark benchmark = small_benchmark(pool, 6);
    Model model(small_config(6, GetParam()), problem_shape(*benchmark.train));
    Trainer trainer(model, *benchmark.train);
    for (int step = 0; step < 5; ++step) trainer.step();
    set_threads(0);
    return model.store().read(model.store().all(Arena::weights));
  };
  EXPECT_EQ(train(1), train(2));
}

TEST_P(Mlp, ANonFiniteOutputIsNamed) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  Model model(small_config(4, GetParam()), problem_shape(*benchmark.train));
  Trainer trainer(model, *benchmark.train);
  ParameterStore& store = model.store();
  store.write(store.slot("head.4.bias"),
              std::vector<float>(static_cast<std::size_t>(store.slot("head.4.bias").shape.count()), INFINITY));
  const StepReport report = trainer.step();
  EXPECT_TRUE(report.skipped);
  EXPECT_EQ(report.diagnosis, "the output of task 0 is not finite");
}

TEST_P(Mlp, ReGaugingIsRefused) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 4);
  Config config = small_config(4, GetParam());
  config.train.regauge = 10;
  Model model(config, problem_shape(*benchmark.train));
  EXPECT_THROW(Trainer(model, *benchmark.train), UsageError);
}

INSTANTIATE_TEST_SUITE_P(Methods, Mlp, testing::Values("mlp-disjoint", "mlp-onehot"));

}  // namespace
}  // namespace roap
