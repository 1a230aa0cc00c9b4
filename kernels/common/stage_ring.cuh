#pragma once

#include "kernels/common/device_code.h"

namespace roap::cuda {

/// The stage that comes next in a ring of stages in shared memory, and the parity of its present round: readers wait
/// for a full stage with it (mbarrier.h), writers for an empty one with the other parity, which finds all stages of the
/// first round empty.
struct StageRing {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ __forceinline__ void advance(int stages) {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

}  // namespace roap::cuda
