#pragma once

#include <cuda_runtime.h>

#include "kernels/common/check_cuda.h"

namespace roap::cuda {

/// Whether the current device has the instructions of sm_90a (wgmma.h, setmaxnreg.h) and this build has machine code
/// for it: neither later cards nor the PTX of sm_90 have them.
inline bool has_warpgroup_products() {
#ifdef ROAP_HAS_SM90A
  int device = 0, major = 0, minor = 0;
  check_cuda(cudaGetDevice(&device), "find the current device");
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "ask for the card's generation");
  check_cuda(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
             "ask for the card's generation");
  return major == 9 && minor == 0;
#else
  return false;
#endif
}

}  // namespace roap::cuda
