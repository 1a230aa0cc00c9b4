#pragma once

#include <vector>

#include "tests/ops/run_case.h"

namespace roap {

/// Runs a case on a device and gives what it computed; expects intact guard zones where memory is not shared.
std::vector<CaseRun::Tensor> run_on(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options);

/// Runs a case on the device and on both references and expects the same results, up to rounding (agreement.h).
void compare_with_reference(const OpCase& op_case, DeviceKind device, const CaseRun::Options& options);

}  // namespace roap
