#pragma once

#include "kernels/common/device_code.h"

// Named barriers of a block: bar.sync and bar.arrive. Id 0 is that of __syncthreads; 1 to 15 are free. `threads`, a
// multiple of 32, is the number of threads that take part, whether they wait or only arrive.

namespace roap::ptx {

/// Arrives and waits until `threads` threads have arrived.
ROAP_PTX void named_barrier_sync(std::uint32_t id, std::uint32_t threads ROAP_AND_CALLER);
/// Arrives without waiting.
ROAP_PTX void named_barrier_arrive(std::uint32_t id, std::uint32_t threads ROAP_AND_CALLER);

#ifndef ROAP_SIMT

__device__ __forceinline__ void named_barrier_sync(std::uint32_t id, std::uint32_t threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(std::uint32_t id, std::uint32_t threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#endif

}  // namespace roap::ptx
