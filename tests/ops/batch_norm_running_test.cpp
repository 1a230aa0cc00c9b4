#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "kernels/batch_norm/batch_norm_op.h"

namespace roap {
namespace {

/// x of one channel with 4 values: mean 4, biased variance 5, unbiased 20 / 3.
constexpr std::array<float, 4> kX{1, 3, 5, 7};

struct Training {
  ParameterStore store;
  Graph graph{store};
  TensorId x = graph.input("x", f32({2, 1, 2, 1}));
  TensorId guard = graph.input("guard", f32({2}));
  std::vector<BatchNormUpdate> pending;

  Training() {
    batch_norm(graph, "bn", x, TensorId{}, false, true, &pending);
    append_batch_norm_updates(graph, pending, guard);
    store.initialize(1);
  }

  void step(float finite) {
    Executor executor(graph);
    executor.write(x, kX);
    executor.write(guard, std::array<float, 2>{finite, 1});
    executor.run();
  }

  float buffer(const std::string& name) { return store.read(store.slot(name, Arena::buffers))[0]; }
};

TEST(BatchNormRunning, MovesInPlaceAsPyTorchDoes) {
  Training training;
  ASSERT_EQ(training.pending.size(), 1u);
  EXPECT_EQ(training.pending[0].count, 4);
  training.step(1);
  EXPECT_FLOAT_EQ(training.buffer("bn.running_mean"), 0.1f * 4);
  EXPECT_FLOAT_EQ(training.buffer("bn.running_var"), 0.9f + 0.1f * 20 / 3);
  training.step(1);
  EXPECT_FLOAT_EQ(training.buffer("bn.running_mean"), 0.9f * 0.4f + 0.1f * 4);
}

TEST(BatchNormRunning, StaysWhenTheStepIsNotFinite) {
  Training training;
  training.step(0);
  EXPECT_EQ(training.buffer("bn.running_mean"), 0);
  EXPECT_EQ(training.buffer("bn.running_var"), 1);
}

TEST(BatchNormRunning, EvaluationGraphUsesTheSharedStatistics) {
  Training training;
  Graph evaluation(training.store);
  const TensorId x = evaluation.input("x", f32({2, 1, 2, 1}));
  const TensorId y = evaluation.keep(batch_norm(evaluation, "bn", x, TensorId{}, true, false, nullptr));
  training.step(1);
  Executor executor(evaluation);
  executor.write(x, kX);
  executor.run();
  const float deviation = std::sqrt(0.9f + 0.1f * 20 / 3 + 1e-5f);
  EXPECT_FLOAT_EQ(executor.read(y)[0], (1 - 0.4f) / deviation);
  EXPECT_FLOAT_EQ(executor.read(y)[3], (7 - 0.4f) / deviation);
}

}  // namespace
}  // namespace roap
