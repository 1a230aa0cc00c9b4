#pragma once

#include "kernels/common/device_code.h"

// Barriers in shared memory that count arrivals of threads and bytes of bulk copies (sm_90 forms). A barrier is 8
// aligned bytes. A phase completes when the expected arrivals have come and all announced bytes have landed; phases
// alternate between parity 0 (the first) and 1. mbarrier_wait(b, p) returns once the current phase is no longer of
// parity p: the consumer of the first phase waits for parity 0, and waiting for parity 1 on a new barrier returns at
// once.

namespace roap::ptx {

/// One thread initializes the barrier; the others use it after mbarrier_fence_init by that thread and a barrier of the
/// block (of the cluster, when other blocks use it).
ROAP_PTX void mbarrier_init(std::uint64_t* barrier, std::uint32_t arrivals ROAP_AND_CALLER);
/// Makes initializations visible to bulk copies and to other blocks: fence.mbarrier_init.release.cluster.
ROAP_PTX void mbarrier_fence_init(ROAP_CALLER);

/// One arrival; what this thread wrote before is visible to threads that wait for the phase.
ROAP_PTX void mbarrier_arrive(std::uint64_t* barrier ROAP_AND_CALLER);
/// One arrival that also announces `bytes` of bulk copies in this phase.
ROAP_PTX void mbarrier_arrive_expect_tx(std::uint64_t* barrier, std::uint32_t bytes ROAP_AND_CALLER);
/// One arrival at the barrier at the same place in block `rank` of the cluster, to say that shared memory has been
/// read: what this thread wrote before need not be visible there, which would cost a fence of the whole device.
ROAP_PTX void mbarrier_arrive_remote(std::uint64_t* barrier, std::uint32_t rank ROAP_AND_CALLER);

/// Whether the phase of this parity has completed; may wait for a while before it says no.
ROAP_PTX bool mbarrier_try_wait(std::uint64_t* barrier, std::uint32_t parity ROAP_AND_CALLER);
/// Waits until the phase of this parity has completed.
ROAP_PTX void mbarrier_wait(std::uint64_t* barrier, std::uint32_t parity ROAP_AND_CALLER);

#ifndef ROAP_SIMT

__device__ __forceinline__ void mbarrier_init(std::uint64_t* barrier, std::uint32_t arrivals) {
  ROAP_ASM_SM90("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void mbarrier_fence_init() {
  ROAP_ASM_SM90("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_arrive(std::uint64_t* barrier) {
  ROAP_ASM_SM90("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect_tx(std::uint64_t* barrier, std::uint32_t bytes) {
  ROAP_ASM_SM90("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_remote(std::uint64_t* barrier, std::uint32_t rank) {
  ROAP_ASM_SM90(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}
__device__ __forceinline__ bool mbarrier_try_wait(std::uint64_t* barrier, std::uint32_t parity) {
  std::uint32_t completed = 0;
  ROAP_ASM_SM90(
      "{\n"
      ".reg .pred completed;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 completed, [%1], %2;\n"
      "selp.u32 %0, 1, 0, completed;\n"
      "}"
      : "=r"(completed)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return completed != 0;
}
__device__ __forceinline__ void mbarrier_wait(std::uint64_t* barrier, std::uint32_t parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}

#endif

}  // namespace roap::ptx
