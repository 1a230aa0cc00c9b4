#include "kernels/common/last_block.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector_access.cuh"
#include "kernels/gradient_guard/gradient_guard.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kVectorsPerThread = 16;
constexpr int kCount = kVectorSize<float>;
constexpr int kChunk = kThreads * kVectorsPerThread * kCount;  ///< gradients of a block

__device__ __forceinline__ bool is_finite(double x) { return x - x == 0; }

/// Computes  guard[0] = loss and all gradients are finite, guard[1] = norm of the gradients
/// Shapes    loss [1], gradients [count], guard [2], partials [blocks], counter [1]
/// Mapping   a block sums 16384 gradients, a thread 16 accesses; the last block adds the blocks' sums
/// Memory    gradients once: 49 MB for 12.3 million of them, bound by memory (double sums are 1 / 4 of that time)
/// Numerics  f64; four sums per thread, then a fixed tree
/// Limits    none
template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    gradient_guard_kernel(std::int64_t count, const float* loss, const float* gradients, double* partials,
                          unsigned* counter, float* guard) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kChunk + threadIdx.x * kCount;
  double sums[kCount] = {};
#pragma unroll 8
  for (int k = 0; k < kVectorsPerThread; ++k) {
    const std::int64_t i = begin + k * kThreads * kCount;
    if (i >= count) continue;
    float values[kCount];
    to_floats(load_elements<kVectors>(gradients + i, static_cast<int>(min(count - i, std::int64_t{kCount}))), values);
#pragma unroll
    for (int j = 0; j < kCount; ++j) sums[j] += static_cast<double>(values[j]) * values[j];
  }
  const double sum = block_sum<kThreads>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
  if (!is_last_block(counter, gridDim.x)) return;
  double total = 0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) total += __ldcg(partials + block);
  total = block_sum<kThreads>(total);
  if (threadIdx.x != 0) return;
  guard[0] = is_finite(*loss) && is_finite(total) ? 1.0f : 0.0f;
  guard[1] = static_cast<float>(sqrt(total));
}

}  // namespace

std::size_t gradient_guard_workspace(std::int64_t count) { return blocks_for(count, kChunk) * sizeof(double); }

void gradient_guard(std::int64_t count, const float* loss, const float* gradients, float* guard, double* workspace,
                    unsigned* counter, Stream stream) {
  launch("gradient_guard", {.grid = blocks_for(count, kChunk), .block = kThreads}, stream,
         can_use_vectors(count, gradients) ? gradient_guard_kernel<true> : gradient_guard_kernel<false>, count, loss,
         gradients, workspace, counter, guard);
}

}  // namespace roap::cuda
