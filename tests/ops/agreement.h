#pragma once

#include <string>
#include <vector>

#include "tests/ops/run_case.h"

namespace roap {

/// How far results of a device are from the f64 reference's.
struct Agreement {
  double error = 0;     ///< largest difference of all tensors, each relative to its largest value
  std::string problem;  ///< the first value that is too far off; empty where there is none
};

/// Compares a device's results with those of both references, for a case that was run `copies` times.
///
/// The f32 reference's own error against f64 is the natural unit of error: sums in another order, fused multiply-adds
/// and own approximations of exp may cost a few of them. A few ulps of the tensor's largest value are added, because a
/// plain loop can be exact by luck. Where the device stores bf16, one rounding of each value is added, and, where a
/// gradient has several contributions, one of the largest value. OpCase::cuda_bf16_roundings are added on CUDA. A case
/// with OpCase::near_ties is compared by norms and by how many winners are others, in the same unit.
Agreement agreement_with_reference(const OpCase& op_case, DeviceKind device, int copies,
                                   const std::vector<CaseRun::Tensor>& got, const std::vector<CaseRun::Tensor>& f32,
                                   const std::vector<CaseRun::Tensor>& f64);

}  // namespace roap
