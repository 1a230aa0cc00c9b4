#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/backend.h"

// CUDA as the rest of the program sees it, in builds with and without it.

namespace roap {

struct CudaDevice {
  std::string name;             ///< "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0;     ///< compute capability
  int multiprocessors = 0;      ///< number of streaming multiprocessors
  std::size_t total_bytes = 0;  ///< of its memory
  Ceilings ceilings;            ///< peak rates of memory, CUDA cores and tensor cores at the highest clocks
};

/// What this process can use.
struct CudaStatus {
  std::vector<CudaDevice> devices;
  std::string problem;  ///< why there is none and what to do; empty where there is one
};
CudaStatus cuda_status();

/// Makes card `index` the device of DeviceKind::cuda: registers its backend and every operator's kernels. Throws
/// DeviceError where there is no such card, the driver is too old, or the build has no code for its architecture.
void use_cuda(int index);

}  // namespace roap
