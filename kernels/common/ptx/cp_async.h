#pragma once

#include "kernels/common/device_code.h"

// A thread's own asynchronous copies from global to shared memory: cp.async (sm_80). What a thread copied is visible to
// it after cp_async_wait_group, and to other threads after a barrier that follows.

namespace roap::ptx {

/// Copies 16 bytes, of which the first `valid_bytes` are read and the rest become zero (with 0 the source may be any
/// global address): cp.async.cg, which does not keep them in L1. Both addresses are multiples of 16.
ROAP_PTX void cp_async_16(void* shared, const void* global, int valid_bytes = 16 ROAP_AND_CALLER);
/// The same for 8 bytes and 4 bytes, through L1 (cp.async.ca). Both addresses are multiples of the size.
ROAP_PTX void cp_async_8(void* shared, const void* global, int valid_bytes = 8 ROAP_AND_CALLER);
ROAP_PTX void cp_async_4(void* shared, const void* global, int valid_bytes = 4 ROAP_AND_CALLER);

/// Closes a group of all copies since the last commit, possibly of none: cp.async.commit_group.
ROAP_PTX void cp_async_commit(ROAP_CALLER);

// cp_async_wait_group<kPending>() waits until at most the kPending latest groups are unfinished: cp.async.wait_group.

#ifdef ROAP_SIMT

void cp_async_wait(int pending, std::source_location caller);

template <int kPending>
void cp_async_wait_group(ROAP_CALLER) {
  cp_async_wait(kPending, caller);
}

#else

__device__ __forceinline__ void cp_async_16(void* shared, const void* global, int valid_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid_bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_8(void* shared, const void* global, int valid_bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid_bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_4(void* shared, const void* global, int valid_bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid_bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

#endif

}  // namespace roap::ptx
