#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/executor.h"
#include "kernels/adam_step/adam_step_op.h"
#include "kernels/gradient_guard/gradient_guard_op.h"

namespace roap {
namespace {

constexpr std::int64_t kWeights = 70000;  // several pieces
constexpr std::int64_t kBoundary = 40001;
constexpr double kRates[] = {0.01, 0.1};

/// The update as models build it: the guard, then Adam in place on the arenas of the store.
class AdamInPlace : public testing::Test {
 protected:
  AdamInPlace() {
    graph_.parameter("w", {kWeights}, Initializer::uniform(1));
    loss_ = graph_.input("loss", f32({1}));
    rates_ = graph_.input("rates", f32({2}));
    const TensorId step = graph_.buffer("step", {1}, Initializer::constant(0));
    const auto all = [&](const char* name, Arena arena) { return graph_.persistent(name, store_.all(arena)); };
    AdamTensors tensors{all("weights", Arena::weights),
                        all("gradients", Arena::gradients),
                        all("moment1", Arena::moment1),
                        all("moment2", Arena::moment2),
                        step,
                        {},
                        rates_};
    tensors.guard = graph_.keep(gradient_guard(graph_, "guard", loss_, tensors.gradients));
    AdamParams params;
    params.boundary = kBoundary;
    adam_step(graph_, "adam", tensors, params);
    store_.initialize(1);
    executor_ = std::make_unique<Executor>(graph_);
  }

  void run(const std::vector<float>& gradients, float loss = 1) {
    store_.write(store_.slot("w", Arena::gradients), gradients);
    executor_->write(loss_, std::span<const float>(&loss, 1));
    const float rates[] = {static_cast<float>(kRates[0]), static_cast<float>(kRates[1])};
    executor_->write(rates_, std::span<const float>(rates));
    executor_->run();
  }

  [[nodiscard]] std::vector<float> weights() const { return store_.read(store_.slot("w")); }
  [[nodiscard]] float steps() const { return store_.read(store_.slot("step", Arena::buffers))[0]; }

  ParameterStore store_;
  Graph graph_{store_};
  TensorId loss_, rates_;
  std::unique_ptr<Executor> executor_;
};

std::vector<float> gradients_of_step(int step) {
  std::vector<float> gradients(kWeights);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    gradients[i] = std::sin(0.37f * static_cast<float>(i) + static_cast<float>(step));
  }
  return gradients;
}

TEST_F(AdamInPlace, ThreeStepsFollowTheFormula) {
  const std::vector<float> start = weights();
  std::vector<double> w(start.begin(), start.end()), m(w.size()), v(w.size());
  for (int n = 1; n <= 3; ++n) {
    const std::vector<float> g = gradients_of_step(n);
    run(g);
    for (std::size_t i = 0; i < w.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      const double rate = kRates[static_cast<std::int64_t>(i) < kBoundary ? 0 : 1];
      w[i] -= rate * (m[i] / (1 - std::pow(0.9, n))) / (std::sqrt(v[i] / (1 - std::pow(0.999, n))) + 1e-5);
    }
  }
  EXPECT_EQ(steps(), 3);
  const std::vector<float> got = weights();
  for (std::size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(got[i], w[i], 2e-6) << i;
}

TEST_F(AdamInPlace, NonFiniteStepChangesNothing) {
  run(gradients_of_step(1));
  const std::vector<float> before = weights();
  std::vector<float> gradients = gradients_of_step(2);
  run(gradients, std::numeric_limits<float>::infinity());
  EXPECT_EQ(weights(), before);
  gradients.back() = std::numeric_limits<float>::quiet_NaN();
  run(gradients);
  EXPECT_EQ(weights(), before);
  EXPECT_EQ(steps(), 1);
  run(gradients_of_step(2));
  EXPECT_NE(weights(), before);
  EXPECT_EQ(steps(), 2);
}

}  // namespace
}  // namespace roap
