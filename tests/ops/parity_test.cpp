#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/ops/case_parameters.h"

namespace roap {
namespace {

using Results = std::vector<CaseRun::Tensor>;

Results run_on(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options) {
  CaseRun run(op_case, device, options);
  run.run();
  // Where memory is shared a later block may lie over an earlier one's guard zone.
  if (!options.share_memory) {
    EXPECT_TRUE(run.damaged_guards().empty()) << "written behind its end: " << run.damaged_guards()[0];
  }
  return run.results();
}

bool same_class(double a, double b) {
  return std::fpclassify(a) == std::fpclassify(b) || (std::isfinite(a) && std::isfinite(b));
}

/// The f32 reference's own error against f64 is the natural unit of error: sums in another order, fused multiply-adds
/// and own approximations of exp may cost a few of them. A few ulps of the tensor's largest value are added, because a
/// plain loop can be exact by luck.
void expect_close(const CaseRun::Tensor& got, const CaseRun::Tensor& f32, const CaseRun::Tensor& f64, double factor) {
  ASSERT_EQ(got.values.size(), f64.values.size());
  double error = 0;
  double largest = 0;
  for (std::size_t i = 0; i < f64.values.size(); ++i) {
    if (!std::isfinite(f64.values[i]) || !std::isfinite(f32.values[i])) continue;
    error = std::max(error, std::abs(f32.values[i] - f64.values[i]));
    largest = std::max(largest, std::abs(f64.values[i]));
  }
  const bool integers = got.spec.dtype != DType::f32;
  const double allowed = integers ? 0 : factor * error + 8 * std::numeric_limits<float>::epsilon() * largest;
  for (std::size_t i = 0; i < f64.values.size(); ++i) {
    const double expected = std::isfinite(f32.values[i]) ? f64.values[i] : f32.values[i];
    ASSERT_TRUE(same_class(got.values[i], expected))
        << got.name << "[" << i << "]: " << got.values[i] << " for " << expected;
    if (std::isfinite(expected)) {
      ASSERT_LE(std::abs(got.values[i] - expected), allowed)
          << got.name << "[" << i << "]: " << got.values[i] << " for " << expected;
    }
  }
}

class Parity : public testing::TestWithParam<CaseParameter> {};

void compare_with_reference(const OpCase& op_case, const CaseRun::Options& options) {
  const Results f64 = run_on(op_case, DeviceKind::reference_f64, options);
  const Results f32 = run_on(op_case, DeviceKind::reference_f32, options);
  const Results cpu = run_on(op_case, DeviceKind::cpu, options);
  ASSERT_EQ(cpu.size(), f64.size());
  for (std::size_t i = 0; i < f64.size(); ++i) expect_close(cpu[i], f32[i], f64[i], op_case.tolerance_factor);
}

TEST_P(Parity, CpuMatchesReference) { compare_with_reference(*GetParam().op_case, {1, false, 64}); }

TEST_P(Parity, CpuMatchesReferenceWithSharedMemoryAndTwoConsumers) {
  compare_with_reference(*GetParam().op_case, {2, true, 0});
}

INSTANTIATE_TEST_SUITE_P(Ops, Parity,
                         testing::ValuesIn(case_parameters([](const OpCase& c) { return !c.performance; })), case_name);

class Threads : public testing::TestWithParam<CaseParameter> {};

TEST_P(Threads, SameBitsForOneTwoAndThreeThreads) {
  Results one;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    const Results now = run_on(*GetParam().op_case, DeviceKind::cpu, {});
    if (threads == 1) one = now;
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (std::size_t k = 0; k < one[i].values.size(); ++k) {
        const bool both_nan = std::isnan(one[i].values[k]) && std::isnan(now[i].values[k]);
        ASSERT_TRUE(both_nan || one[i].values[k] == now[i].values[k])
            << one[i].name << "[" << k << "]: " << now[i].values[k] << " with " << threads << " threads, "
            << one[i].values[k] << " with 1";
      }
    }
  }
  set_threads(0);
}

INSTANTIATE_TEST_SUITE_P(Ops, Threads, testing::ValuesIn(case_parameters([](const OpCase&) { return true; })),
                         case_name);

}  // namespace
}  // namespace roap
