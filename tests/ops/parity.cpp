#include "tests/ops/parity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace roap {

namespace {

using Results = std::vector<CaseRun::Tensor>;

bool same_class(double a, double b) {
  return std::fpclassify(a) == std::fpclassify(b) || (std::isfinite(a) && std::isfinite(b));
}

/// See compare_with_reference; `roundings` of the largest value are added where the device stores bf16, and
/// `more_roundings` in any case.
void expect_close(const CaseRun::Tensor& got, const CaseRun::Tensor& f32, const CaseRun::Tensor& f64, double factor,
                  int roundings, double more_roundings) {
  ASSERT_EQ(got.values.size(), f64.values.size());
  double error = 0;
  double largest = 0;
  for (std::size_t i = 0; i < f64.values.size(); ++i) {
    if (!std::isfinite(f64.values[i]) || !std::isfinite(f32.values[i])) continue;
    error = std::max(error, std::abs(f32.values[i] - f64.values[i]));
    largest = std::max(largest, std::abs(f64.values[i]));
  }
  constexpr double kBf16Rounding = 1.0 / 256;
  const double bf16 = got.spec.dtype == DType::bf16 ? kBf16Rounding : 0;
  const double of_largest =
      8 * std::numeric_limits<float>::epsilon() + roundings * bf16 + more_roundings * kBf16Rounding;
  const double allowed = is_real(got.spec.dtype) ? factor * error + of_largest * largest : 0;
  for (std::size_t i = 0; i < f64.values.size(); ++i) {
    const double expected = std::isfinite(f32.values[i]) ? f64.values[i] : f32.values[i];
    ASSERT_TRUE(same_class(got.values[i], expected))
        << got.name << "[" << i << "]: " << got.values[i] << " for " << expected;
    if (std::isfinite(expected)) {
      ASSERT_LE(std::abs(got.values[i] - expected), allowed + bf16 * std::abs(expected))
          << got.name << "[" << i << "]: " << got.values[i] << " for " << expected;
    }
  }
}

}  // namespace

Results run_on(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options) {
  CaseRun run(op_case, device, options);
  run.run();
  // Where memory is shared a later block may lie over an earlier one's guard zone.
  if (!options.share_memory) {
    const std::vector<std::string> damaged = run.damaged_guards();
    EXPECT_TRUE(damaged.empty()) << "written behind its end: " << damaged[0];
  }
  return run.results();
}

void compare_with_reference(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options) {
  const Results f64 = run_on(op_case, DeviceKind::reference_f64, options);
  const Results f32 = run_on(op_case, DeviceKind::reference_f32, options);
  const Results got = run_on(op_case, device, options);
  ASSERT_EQ(got.size(), f64.size());
  for (std::size_t i = 0; i < f64.size(); ++i) {
    expect_close(got[i], f32[i], f64[i], op_case.tolerance_factor, options.copies - 1,
                 device == DeviceKind::cuda ? op_case.cuda_bf16_roundings : 0);
  }
}

}  // namespace roap
