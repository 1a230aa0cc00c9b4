#pragma once

#include "kernels/common/reduce.cuh"

// Counts of flags before a thread, for writing lists without gaps in a fixed order.

namespace roap::cuda {

struct PrefixCount {
  int before;  ///< threads with the flag whose index is lower
  int total;   ///< threads of the block with the flag
};

/// All threads of a block of kThreads threads along x, a multiple of 32, call it. Contains two block barriers.
template <int kThreads>
__device__ __forceinline__ PrefixCount block_prefix_count(bool flag ROAP_AND_CALLER) {
  constexpr int kWarps = kThreads / kWarpSize;
  static_assert(kThreads % kWarpSize == 0 && kWarps >= 1 && kWarps <= 32);
  ROAP_SHARED(of_warp, int[kWarps]);
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const unsigned flags = __ballot_sync(kAllLanes, flag ROAP_AND_PASS_CALLER);
  __syncthreads(ROAP_PASS_CALLER);  // an earlier call's counts may still be read
  if (lane == 0) of_warp[warp] = __popc(flags);
  __syncthreads(ROAP_PASS_CALLER);
  PrefixCount count{__popc(flags & ((1u << lane) - 1)), 0};
#pragma unroll
  for (int other = 0; other < kWarps; ++other) {
    if (other < warp) count.before += of_warp[other];
    count.total += of_warp[other];
  }
  return count;
}

}  // namespace roap::cuda
