#include "kernels/common/launch.h"
#include "kernels/common/ptx/barrier.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/ptx/fence.h"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/tensor_map.h"
#include "kernels/common/vector_access.cuh"

// Calls every wrapper and helper once, so that a build with nvcc compiles them all, for each architecture. Never run.

namespace roap::cuda {

namespace {

__device__ void fragments(float* out, const void* row) {
  std::uint32_t a1 = 0, a2[2] = {}, a4[4] = {};
  ptx::ldmatrix_x1(a1, row);
  ptx::ldmatrix_x2(a2, row);
  ptx::ldmatrix_x4(a4, row);
  float d[4] = {};
  ptx::mma_m16n8k16(d, a4, a2[0], a2[1]);
  ptx::ldmatrix_x1_trans(a1, row);
  ptx::ldmatrix_x2_trans(a2, row);
  ptx::ldmatrix_x4_trans(a4, row);
  ptx::mma_m16n8k8_tf32(d, a4, ptx::to_tf32(d[0]), a1);
  for (int i = 0; i < 4; ++i) out[i] = d[i];
}

__device__ void store_fragments(void* row) {
  const std::uint32_t r2[2] = {1, 2}, r4[4] = {1, 2, 3, 4};
  ptx::stmatrix_x1(row, 1);
  ptx::stmatrix_x2(row, r2);
  ptx::stmatrix_x4(row, r4);
  ptx::stmatrix_x1_trans(row, 1);
  ptx::stmatrix_x2_trans(row, r2);
  ptx::stmatrix_x4_trans(row, r4);
}

__device__ void copies_of_threads(void* shared, const void* global) {
  ptx::cp_async_16(shared, global);
  ptx::cp_async_8(shared, global, 3);
  ptx::cp_async_4(shared, global);
  ptx::cp_async_commit();
  ptx::cp_async_wait_group<1>();
}

__device__ void bulk_copies(void* shared, const void* global, const CUtensorMap* map, std::uint64_t* barrier) {
  ptx::mbarrier_init(barrier, 2);
  ptx::mbarrier_fence_init();
  ptx::prefetch_tensor_map(map);
  ptx::mbarrier_arrive_expect_tx(barrier, 4 * 128);
  ptx::bulk_copy(shared, global, 128, barrier);
  ptx::bulk_copy_multicast(shared, global, 128, barrier, 3);
  ptx::tensor_copy_2d(shared, map, 0, 0, barrier);
  ptx::tensor_copy_2d_multicast(shared, map, 0, 0, barrier, 3);
  ptx::mbarrier_arrive(barrier);
  ptx::mbarrier_arrive_remote(barrier, 1);
  if (!ptx::mbarrier_try_wait(barrier, 0)) ptx::mbarrier_wait(barrier, 0);
}

template <int kCount>
__device__ void finish_product(float (&d)[kCount], float* out) {
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(d);
#pragma unroll
  for (int i = 0; i < kCount; ++i) out[i * blockDim.x] += d[i];
}

__device__ void warpgroup_products(float* out, const void* shared) {
  const std::uint64_t b = ptx::wgmma_descriptor(shared), mn = ptx::wgmma_descriptor_mn(shared, 8192);
  const std::uint32_t a[4] = {1, 2, 3, 4};
  float d64[32] = {}, d128[64] = {}, d256[128] = {};
  ptx::wgmma_fence();
  ptx::wgmma_m64n64k16(d64, b, b, false);
  ptx::wgmma_m64n64k16(d64, a, b, true);
  ptx::wgmma_m64n64k16_mn(d64, mn, mn, true);
  finish_product(d64, out);
  ptx::wgmma_fence();
  ptx::wgmma_m64n128k16(d128, b, b, false);
  ptx::wgmma_m64n128k16(d128, a, b, true);
  ptx::wgmma_m64n128k16_mn(d128, mn, mn, true);
  finish_product(d128, out);
  ptx::wgmma_fence();
  ptx::wgmma_m64n256k16(d256, b, b, false);
  ptx::wgmma_m64n256k16(d256, a, b, true);
  ptx::wgmma_m64n256k16_mn(d256, mn, mn, true);
  finish_product(d256, out);
}

template <class T>
__device__ void vectors(const T* x, T* y, int count) {
  float values[kVectorSize<T>];
  to_floats(load_vector(x), values);
  store_vector(y, from_floats<T>(values));
  to_floats(load_vector_readonly(x), values);
  store_scalars(y, from_floats<T>(values), count);
  store_scalars(y, load_scalars(x, count), count);
}

// Two kernels, because code that follows an instruction that an architecture lacks is not compiled for it.

/// Computes  nothing of use: every wrapper and helper that sm_80 has, once
/// Shapes    out [131], x [16], y [16]
/// Mapping   one block of four warps
/// Memory    as the wrappers come
/// Numerics  none
/// Limits    compiled, never run
__global__ void __launch_bounds__(128) wrappers_of_sm80_kernel(float* out, const float* x, __nv_bfloat16* y) {
  ROAP_SHARED_ALIGNED(tile, 128, float[1024]);
  fragments(out, tile);
  copies_of_threads(tile, x);
  ptx::named_barrier_arrive(1, 128);
  ptx::named_barrier_sync(1, 128);
  vectors(x, out, 3);
  vectors<__nv_bfloat16>(y, y, 3);
  out[0] += block_sum<128>(x[0]) + block_max<128>(x[1]) + block_min<128>(x[2]);
  out[1] += warp_sum(x[0]) + warp_max(x[1]) + warp_min(x[2]) + group_sum<8>(x[3]) + group_max<4>(x[4]);
  out[2] += unpack_bf16(pack_bf16(x[0], x[1])).y;
}

/// Computes  nothing of use: every wrapper that sm_90a adds, once
/// Shapes    out [128 * 128], x [32], map of a bf16 matrix [64, 64]
/// Mapping   a cluster of two blocks of one warpgroup
/// Memory    as the wrappers come
/// Numerics  none
/// Limits    compiled, never run; sm_90a
__global__ void __launch_bounds__(128, 1)
    wrappers_of_sm90_kernel(float* out, const float* x, const __grid_constant__ CUtensorMap map) {
  ROAP_SHARED(barrier, std::uint64_t);
  ROAP_SHARED_ALIGNED(tile, 128, float[1024]);
  ptx::setmaxnreg_increase<240>();
  store_fragments(tile);
  bulk_copies(dynamic_shared<float>(1024), x, &map, &barrier);
  ptx::fence_proxy_async();
  warpgroup_products(out, tile);
  if (ptx::cluster_rank() + 1 < ptx::cluster_size()) *ptx::map_shared(&tile[0], ptx::cluster_rank() + 1) = 1.0f;
  ptx::cluster_sync();
  ptx::setmaxnreg_decrease<24>();
}

}  // namespace

void every_wrapper(float* out, const float* x, __nv_bfloat16* y, cudaStream_t stream) {
  const CUtensorMap map = tensor_map_2d(y, {.rows = 64, .columns = 64, .row_stride = 64}, {.rows = 8, .columns = 64});
  launch("wrappers_of_sm80", {.grid = 1, .block = 128}, stream, wrappers_of_sm80_kernel, out, x, y);
  launch("wrappers_of_sm90", {.grid = 2, .block = 128, .shared_bytes = 65536, .cluster = 2}, stream,
         wrappers_of_sm90_kernel, out, x, map);
}

}  // namespace roap::cuda
