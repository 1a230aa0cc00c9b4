#include "kernels/common/launch.h"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/shared.h"
#include "kernels/common/vector_access.cuh"
#include "tests/simt/counted/counted.h"

namespace roap::cuda {

namespace {

/// Computes  y[i] = x[i] + table[i % 64]
/// Shapes    x [count], table [64], y [count]; kVectors: count a multiple of 4, addresses of 16
/// Mapping   a thread owns one element, or four neighbours
/// Memory    x, y once; the table once per block, into shared memory
/// Numerics  f32
/// Limits    count below 2^31
template <bool kVectors>
__global__ void __launch_bounds__(kCountedThreads)
    counted_add_kernel(int count, const float* x, const float* table, float* y) {
  ROAP_SHARED(shared, float[kCountedTable]);
  const int thread = static_cast<int>(threadIdx.x);
  ptx::cp_async_4(&shared[thread], table + thread);
  ptx::cp_async_commit();
  ptx::cp_async_wait_group<0>();
  __syncthreads();
  constexpr int kWidth = kVectors ? kVectorSize<float> : 1;
  const int i = (static_cast<int>(blockIdx.x) * kCountedThreads + thread) * kWidth;
  if (i >= count) return;
  Vector<float> values = load_elements<kVectors>(x + i, kWidth);
  for (int k = 0; k < kWidth; ++k) values.values[k] += shared[(i + k) % kCountedTable];
  store_elements<kVectors>(y + i, values, kWidth);
}

}  // namespace

void counted_add(int count, bool vectors, const float* x, const float* table, float* y, cudaStream_t stream) {
  const LaunchShape shape{.grid = blocks_for(count, kCountedThreads * (vectors ? kVectorSize<float> : 1)),
                          .block = kCountedThreads};
  launch("counted_add", shape, stream, vectors ? counted_add_kernel<true> : counted_add_kernel<false>, count, x, table,
         y);
}

}  // namespace roap::cuda
