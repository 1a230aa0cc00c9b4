#pragma once

#include "kernels/common/shared.h"

// How a kernel adds up the partial results of its blocks without a second launch: the block that ends last does it, in
// a fixed order, whichever block that is.

namespace roap::cuda {

/// Called by all threads of every one of `blocks` blocks, after their last store. True in the block that comes last,
/// which sees what all the others stored before, through __ldcg. `counter` is zero before the launch, and again after
/// it.
__device__ __forceinline__ bool is_last_block(unsigned* counter, unsigned blocks ROAP_AND_CALLER) {
  ROAP_SHARED(last, bool);
  __threadfence();  // own stores before the count
  __syncthreads(ROAP_PASS_CALLER);
  if (threadIdx.x == 0) last = atomicInc(counter, blocks - 1) == blocks - 1;  // the last one wraps it to zero
  __syncthreads(ROAP_PASS_CALLER);
  if (last) __threadfence();  // the count before later loads
  return last;
}

}  // namespace roap::cuda
