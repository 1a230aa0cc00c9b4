#pragma once

#include <vector>

#include "tests/ops/run_case.h"

namespace roap {

/// Runs a case on a device and gives what it computed; expects intact guard zones where memory is not shared.
std::vector<CaseRun::Tensor> run_on(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options);

/// Runs a case on the device and on both references and expects the same results, up to rounding.
///
/// The f32 reference's own error against f64 is the natural unit of error: sums in another order, fused multiply-adds
/// and own approximations of exp may cost a few of them. A few ulps of the tensor's largest value are added, because a
/// plain loop can be exact by luck. Where the device stores bf16, one rounding of each value is added, and, where a
/// gradient has several contributions, one of the largest value. OpCase::cuda_bf16_roundings are added on CUDA.
void compare_with_reference(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options);

}  // namespace roap
