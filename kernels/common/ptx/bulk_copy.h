#pragma once

#include <cuda.h>

#include "kernels/common/device_code.h"

// Copies by the bulk copy engine from global to shared memory (sm_90). One thread starts a copy; it lands at some later
// time and then counts its bytes at an mbarrier, on which readers wait. Shared memory that ordinary instructions wrote
// and bulk copies or wgmma read next needs fence_proxy_async in between (fence.h).

namespace roap::ptx {

/// Copies `bytes`, a multiple of 16, between addresses that are multiples of 16: cp.async.bulk.shared::cluster.global.
ROAP_PTX void bulk_copy(void* shared, const void* global, std::uint32_t bytes, std::uint64_t* barrier ROAP_AND_CALLER);

/// The same, into the same place of every block of the cluster whose bit is set in `blocks`; the bytes count at the
/// barrier at the same place in each of them. Only sm_90a: later cards are slow at it.
ROAP_PTX void bulk_copy_multicast(void* shared, const void* global, std::uint32_t bytes, std::uint64_t* barrier,
                                  std::uint16_t blocks ROAP_AND_CALLER);

/// Copies the box of a 2-D tensor that begins at (row, column), in the layout of its map (kernels/common/tensor_map.h):
/// cp.async.bulk.tensor.2d. Elements outside of the tensor become zero and count as bytes, too. `map` is a
/// __grid_constant__ parameter of the kernel; `shared` is a multiple of 128, of 1024 where the swizzle matters.
ROAP_PTX void tensor_copy_2d(void* shared, const CUtensorMap* map, int row, int column,
                             std::uint64_t* barrier ROAP_AND_CALLER);
/// The same, into several blocks as bulk_copy_multicast.
ROAP_PTX void tensor_copy_2d_multicast(void* shared, const CUtensorMap* map, int row, int column,
                                       std::uint64_t* barrier, std::uint16_t blocks ROAP_AND_CALLER);
/// Fetches the map into the cache that copies read it from: prefetch.tensormap.
ROAP_PTX void prefetch_tensor_map(const CUtensorMap* map);

#ifndef ROAP_SIMT

__device__ __forceinline__ void bulk_copy(void* shared, const void* global, std::uint32_t bytes,
                                          std::uint64_t* barrier) {
  ROAP_ASM_SM90("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                    shared_address(shared)),
                "l"(global), "r"(bytes), "r"(shared_address(barrier))
                : "memory");
}
__device__ __forceinline__ void bulk_copy_multicast(void* shared, const void* global, std::uint32_t bytes,
                                                    std::uint64_t* barrier, std::uint16_t blocks) {
  ROAP_ASM_SM90A(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], "
      "%4;" ::"r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier)), "h"(blocks)
      : "memory");
}
__device__ __forceinline__ void tensor_copy_2d(void* shared, const CUtensorMap* map, int row, int column,
                                               std::uint64_t* barrier) {
  ROAP_ASM_SM90(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}
__device__ __forceinline__ void tensor_copy_2d_multicast(void* shared, const CUtensorMap* map, int row, int column,
                                                         std::uint64_t* barrier, std::uint16_t blocks) {
  ROAP_ASM_SM90A(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(blocks)
      : "memory");
}
__device__ __forceinline__ void prefetch_tensor_map(const CUtensorMap* map) {
  ROAP_ASM_SM90("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

#endif

}  // namespace roap::ptx
