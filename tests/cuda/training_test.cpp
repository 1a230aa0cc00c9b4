#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "io/config.h"
#include "io/experiment.h"
#include "models/trainer.h"
#include "tests/cuda/cuda_test.h"
#include "tests/ops/run_case.h"

// Whole training steps on digits: every operator, the recorded run, copies both ways, on all devices alike.

namespace roap {
namespace {

constexpr int kSteps = 6;  // the third and later ones are replayed

io::Config tiny_config(const std::string& more = "") {
  return io::parse_config(
      "[tasks]\ncount = 8\nmax_operators = 1\n"
      "[model]\ngrounder_width = 2\nwidth = 8\nlines = 4\n"
      "[train]\nsteps = 100\npairs_per_step = 8\n" +
          more,
      "tiny");
}

/// Of every step: the numbers of its report.
using History = std::vector<std::vector<double>>;

History train(const io::Config& config, DeviceKind device) {
  const io::Experiment experiment = io::load_experiment(config);
  Model model(config, problem_shape(*experiment.benchmark.train), device);
  Trainer trainer(model, *experiment.benchmark.train);
  History history;
  for (int step = 0; step < kSteps; ++step) {
    const StepReport report = trainer.step();
    EXPECT_FALSE(report.skipped) << report.diagnosis;
    history.push_back(
        {report.loss, report.mean_error, report.gradient_norm, report.mean_length, report.gauge.a, report.gauge.b});
  }
  return history;
}

constexpr const char* kNames[] = {"loss", "mean error", "gradient norm", "mean length", "gauge a", "gauge b"};

class CudaTraining : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    set_up_cuda();
    all_operator_tests();  // registers the references
  }
};

// Rounding errors of a step pass on to all later ones and grow there, so that the tolerance is measured: the CPU's
// distance from the plain loops in f32, the largest so far, times the factor that operators' tests allow, and a few
// roundings for where the CPU hits the same number.
TEST_P(CudaTraining, EveryStepEqualsTheReferenceAsFarAsTheCpuDoes) {
  constexpr double kFactor = 16, kRoundings = 8, kEpsilon = 1.0 / (1 << 23);
  const io::Config config = tiny_config(GetParam());
  const History reference = train(config, DeviceKind::reference_f32), cpu = train(config, DeviceKind::cpu);
  const History cuda = train(config, DeviceKind::cuda);
  for (std::size_t value = 0; value < std::size(kNames); ++value) {
    double error = 0;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const double expected = reference[step][value];
      error = std::max(error, std::abs(cpu[step][value] - expected));
      EXPECT_NEAR(cuda[step][value], expected, kFactor * error + kRoundings * kEpsilon * std::abs(expected))
          << kNames[value] << " of step " << step + 1 << ", where the CPU has " << cpu[step][value];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, CudaTraining,
                         testing::Values("", "method = \"tree\"\n", "samples = 2\nloss = \"profiled\"\nlambda = 0.1\n",
                                         "method = \"free\"\n", "method = \"mlp-disjoint\"\n",
                                         "method = \"mlp-onehot\"\nloss = \"profiled\"\n",
                                         "method = \"marginal\"\nregauge = 2\n[search]\nmax_operators = 1\n",
                                         "method = \"hybrid\"\nregauge = 3\n[search]\nmax_operators = 1\n"));

TEST_F(CudaTraining, TwoRunsHaveTheSameBits) {
  // Method hybrid has all operators but those of method tree.
  const io::Config config = tiny_config("method = \"hybrid\"\n[search]\nmax_operators = 2\n");
  set_schedule(1);
  const History first = train(config, DeviceKind::cuda);
  set_schedule(2);
  EXPECT_EQ(train(config, DeviceKind::cuda), first);
}

// A number rounded to bf16 is off by up to 2^-9 of it. A gradient has passed some 50 such roundings on its way through
// the layers and back; as independent errors they make sqrt(50) 2^-9 = 1.4 %, and twice that is allowed.
TEST_F(CudaTraining, Bf16StaysNearF32) {
  constexpr double kAllowed = 0.028;
  io::Config rounded = tiny_config();
  rounded.device.precision = "bf16";
  const History f32 = train(tiny_config(), DeviceKind::cuda), bf16 = train(rounded, DeviceKind::cuda);
  for (std::size_t step = 0; step < kSteps; ++step) {
    for (std::size_t value = 0; value < std::size(kNames); ++value) {
      EXPECT_NEAR(bf16[step][value], f32[step][value], kAllowed * std::abs(f32[step][value]))
          << kNames[value] << " of step " << step + 1;
    }
    EXPECT_NE(bf16[step], f32[step]) << "nothing was rounded in step " << step + 1;
  }
}

}  // namespace
}  // namespace roap
