#pragma once

#include "kernels/common/device_code.h"

// Blocks of a cluster (sm_90): who they are, a barrier for all their threads, and each other's shared memory.

namespace roap::ptx {

/// This block's rank in its cluster and the number of blocks in it; 0 and 1 without a cluster.
ROAP_PTX std::uint32_t cluster_rank();
ROAP_PTX std::uint32_t cluster_size();

/// Arrives at the barrier of the cluster (release); each thread arrives once, then waits (acquire).
ROAP_PTX void cluster_arrive(ROAP_CALLER);
ROAP_PTX void cluster_wait(ROAP_CALLER);

// map_shared(T* shared, rank) is the place in block `rank` that corresponds to `shared` in this block: mapa. That block
// must not end before the last access to it.

#ifdef ROAP_SIMT

void* map_shared_address(void* shared, std::uint32_t rank, std::source_location caller);

template <class T>
T* map_shared(T* shared, std::uint32_t rank ROAP_AND_CALLER) {
  return static_cast<T*>(map_shared_address(shared, rank, caller));
}

#else

__device__ __forceinline__ std::uint32_t cluster_rank() {
  std::uint32_t rank = 0;
  ROAP_ASM_SM90("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ std::uint32_t cluster_size() {
  std::uint32_t size = 1;
  ROAP_ASM_SM90("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
__device__ __forceinline__ void cluster_arrive() {
  ROAP_ASM_SM90("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { ROAP_ASM_SM90("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
template <class T>
__device__ __forceinline__ T* map_shared(T* shared, std::uint32_t rank) {
  std::uint64_t remote = 0;
  ROAP_ASM_SM90("mapa.u64 %0, %1, %2;" : "=l"(remote) : "l"(shared), "r"(rank));
  return reinterpret_cast<T*>(remote);
}

#endif

/// Waits until all threads of the cluster have come here.
__device__ __forceinline__ void cluster_sync(ROAP_CALLER) {
  cluster_arrive(ROAP_PASS_CALLER);
  cluster_wait(ROAP_PASS_CALLER);
}

}  // namespace roap::ptx
