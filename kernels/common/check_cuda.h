#pragma once

#include <cuda_runtime.h>

#include <string>
#include <string_view>

#include "kernels/common/error.h"

namespace roap::cuda {

/// What a user can do about an error of the CUDA runtime; empty where nothing better than its message is known.
inline std::string_view advice(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "use fewer pairs per step or a smaller model";
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      return "check the driver with nvidia-smi, or use --device cpu";
    case cudaErrorInvalidDevice:
      return "nvidia-smi -L lists the devices of this machine";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "this build has no code for this card; build with its architecture in ROAP_CUDA_ARCHITECTURES";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorLaunchFailure:
      return "a kernel failed, this one or one started before; run the same command under compute-sanitizer to find it";
    default:
      return {};
  }
}

/// Throws a DeviceError that says what failed, why and what to do, unless `status` is success. `what` completes "cannot
/// ...", for example "allocate 3.0 GiB".
inline void check_cuda(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // reported here, not once more by the next check
  std::string message =
      "[cuda] cannot " + std::string(what) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
  if (const std::string_view text = advice(status); !text.empty()) message += "; " + std::string(text);
  throw DeviceError(message);
}

}  // namespace roap::cuda
