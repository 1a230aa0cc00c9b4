#pragma once

#include "kernels/common/column_sum.cuh"
#include "kernels/common/launch.h"

// Sums partial results that blocks left in memory: the second pass of reductions that are larger than a block.

namespace roap::cuda {

/// Computes  y[i] (+)= sum_r parts[r, i]
/// Shapes    parts [rows, count], y [count]; any sizes
/// Mapping   a block owns 32 neighbouring columns
/// Memory    parts once, in lines of 128 bytes
/// Numerics  f32, in the order of column_sum
/// Limits    none
template <class T>  // so that a header can define it
__global__ void __launch_bounds__(kColumnSumThreads)
    ordered_sum_kernel(std::int64_t rows, std::int64_t count, const T* parts, T* y, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  const float sum = column_sum(rows, [&](std::int64_t row) { return i < count ? parts[row * count + i] : 0.0f; });
  if (threadIdx.x < kColumnSumColumns && i < count) y[i] = accumulate ? y[i] + sum : sum;
}

/// parts [rows, count] -> y [count], added to y when `accumulate`.
inline void ordered_sum(const char* name, std::int64_t rows, std::int64_t count, const float* parts, float* y,
                        bool accumulate, cudaStream_t stream) {
  launch(name, {.grid = column_sum_blocks(count), .block = kColumnSumThreads}, stream, ordered_sum_kernel<float>, rows,
         count, parts, y, accumulate);
}

}  // namespace roap::cuda
