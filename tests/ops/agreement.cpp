#include "tests/ops/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace roap {

namespace {

using Tensor = CaseRun::Tensor;

bool same_class(double a, double b) {
  return std::fpclassify(a) == std::fpclassify(b) || (std::isfinite(a) && std::isfinite(b));
}

/// What a tensor's values may be off.
struct Allowed {
  double absolute = 0, relative = 0;
};

/// `roundings` of the largest value are allowed where the device stores bf16, and `more_roundings` in any case.
Allowed allowed_error(const Tensor& got, const Tensor& f32, const Tensor& f64, double factor, int roundings,
                      double more_roundings) {
  if (!is_real(got.spec.dtype)) return {};
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < f64.values.size(); ++i) {
    if (!std::isfinite(f64.values[i]) || !std::isfinite(f32.values[i])) continue;
    error = std::max(error, std::abs(f32.values[i] - f64.values[i]));
    largest = std::max(largest, std::abs(f64.values[i]));
  }
  constexpr double kBf16Rounding = 1.0 / 256;
  const double bf16 = got.spec.dtype == DType::bf16 ? kBf16Rounding : 0;
  const double of_largest =
      8 * std::numeric_limits<float>::epsilon() + roundings * bf16 + more_roundings * kBf16Rounding;
  return {factor * error + of_largest * largest, bf16};
}

void compare(const Tensor& got, const Tensor& f32, const Tensor& f64, const Allowed& allowed, Agreement& agreement) {
  double worst = 0, largest = 0;
  if (got.values.size() != f64.values.size()) agreement.problem = got.name + ": not as many values as the reference";
  for (std::size_t i = 0; i < f64.values.size() && agreement.problem.empty(); ++i) {
    const double expected = std::isfinite(f32.values[i]) ? f64.values[i] : f32.values[i];
    const bool finite = std::isfinite(expected);
    const double difference = finite ? std::abs(got.values[i] - expected) : 0;
    if (!same_class(got.values[i], expected) ||
        !(difference <= allowed.absolute + (finite ? allowed.relative * std::abs(expected) : 0))) {
      agreement.problem = fmt::format("{}[{}]: {} for {}, allowed error {:.3g}", got.name, i, got.values[i], expected,
                                      allowed.absolute);
    }
    if (!finite) continue;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(expected));
  }
  if (largest > 0) agreement.error = std::max(agreement.error, worst / largest);
}

/// How two tensors differ as wholes.
struct Difference {
  double others = 0;  ///< number of values that differ
  double norm = 0;    ///< of what they differ by, relative to the second one's unless that is zero
};

Difference difference_of(const std::vector<double>& got, const std::vector<double>& expected) {
  double others = 0, differences = 0, squares = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = got[i] - expected[i];
    others += difference != 0 ? 1 : 0;
    differences += difference * difference;
    squares += expected[i] * expected[i];
  }
  return {others, squares > 0 ? std::sqrt(differences / squares) : std::sqrt(differences)};
}

/// The same for a case with near ties: how many integers differ, and the norm of what reals differ by.
void compare_norms(const Tensor& got, const Tensor& f32, const Tensor& f64, double near_ties, Agreement& agreement) {
  constexpr double kMostError = 1e-3, kTimesOwn = 4;
  const Difference found = difference_of(got.values, f64.values), own = difference_of(f32.values, f64.values);
  if (!is_real(got.spec.dtype)) {
    const double most = near_ties * static_cast<double>(f64.values.size()) + kTimesOwn * own.others;
    if (found.others > most) {
      agreement.problem = fmt::format("{}: {} of {} differ, {} of the f32 reference's", got.name, found.others,
                                      f64.values.size(), own.others);
    }
    return;
  }
  if (!(found.norm <= kMostError + kTimesOwn * own.norm)) {
    agreement.problem =
        fmt::format("{}: differs by {:.2g} of its norm, the f32 reference by {:.2g}", got.name, found.norm, own.norm);
  }
  agreement.error = std::max(agreement.error, found.norm);
}

}  // namespace

Agreement agreement_with_reference(const OpCase& op_case, DeviceKind device, int copies, const std::vector<Tensor>& got,
                                   const std::vector<Tensor>& f32, const std::vector<Tensor>& f64) {
  Agreement agreement;
  if (got.size() != f64.size()) agreement.problem = fmt::format("{} tensors for {}", got.size(), f64.size());
  const double more_roundings = device == DeviceKind::cuda ? op_case.cuda_bf16_roundings : 0;
  for (std::size_t i = 0; i < f64.size() && agreement.problem.empty(); ++i) {
    const Allowed allowed = allowed_error(got[i], f32[i], f64[i], op_case.tolerance_factor, copies - 1, more_roundings);
    if (op_case.near_ties > 0 && got[i].values.size() == f64[i].values.size()) {
      compare_norms(got[i], f32[i], f64[i], op_case.near_ties, agreement);
    } else {
      compare(got[i], f32[i], f64[i], allowed, agreement);
    }
  }
  return agreement;
}

}  // namespace roap
