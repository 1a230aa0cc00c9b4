#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/case_parameters.h"

namespace roap {
namespace {

constexpr std::size_t kSamples = 24;  // elements of each input that are perturbed

class Gradient : public testing::TestWithParam<CaseParameter> {};

double central_difference(CaseRun& run, double& x, double step) {
  const double x0 = x;
  x = x0 + step;
  run.run();
  const double above = run.loss();
  x = x0 - step;
  run.run();
  const double below = run.loss();
  x = x0;
  return (above - below) / (2 * step);
}

TEST_P(Gradient, ReferenceMatchesCentralDifferences) {
  const OpCase& op_case = *GetParam().op_case;
  CaseRun run(op_case, DeviceKind::reference_f64, {});
  run.run();
  ASSERT_TRUE(run.has_gradient());
  for (std::size_t i = 0; i < run.differentiable_inputs(); ++i) {
    run.run();
    const std::vector<double> gradient = run.gradient(i);
    double largest = 1e-3;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    const std::size_t stride = std::max<std::size_t>(1, gradient.size() / kSamples);
    for (std::size_t k = 0; k < gradient.size(); k += stride) {
      double& x = run.input_values(i)[k];
      const double step = op_case.difference_step * std::max(1.0, std::abs(x));
      double difference = central_difference(run, x, step);
      const double allowed = 2e-5 * largest;
      // A kink (ReLU, max) within one step spoils the difference: then a much smaller step must agree.
      if (std::abs(difference - gradient[k]) > allowed) difference = central_difference(run, x, step / 64);
      EXPECT_NEAR(difference, gradient[k], allowed) << run.differentiable_input(i).name << "[" << k << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, testing::ValuesIn(case_parameters([](const OpCase& c) {
                           return c.check_gradient && !c.performance;
                         })),
                         case_name);

}  // namespace
}  // namespace roap
