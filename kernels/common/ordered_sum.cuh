#pragma once

#include "kernels/common/launch.h"
#include "kernels/common/shared.h"

// Sums partial results that blocks left in memory: the second pass of reductions that are larger than a block.

namespace roap::cuda {

inline constexpr int kOrderedSumColumns = 32;   ///< of a block: 128 bytes of every row
inline constexpr int kOrderedSumSegments = 16;  ///< runs of rows that are summed side by side

/// Computes  y[i] (+)= sum_r parts[r, i]
/// Shapes    parts [rows, count], y [count]; any sizes
/// Mapping   a block owns 32 neighbouring columns, a warp one of 16 runs of rows, a lane a column
/// Memory    parts once, in lines of 128 bytes
/// Numerics  f32; rows of a run in order, then the runs in order
/// Limits    none
template <class T>  // so that a header can define it
__global__ void __launch_bounds__(kOrderedSumColumns* kOrderedSumSegments)
    ordered_sum_kernel(std::int64_t rows, std::int64_t count, const T* parts, T* y, bool accumulate) {
  ROAP_SHARED(of_segment, T[kOrderedSumSegments][kOrderedSumColumns]);
  const int column = static_cast<int>(threadIdx.x) % kOrderedSumColumns;
  const int segment = static_cast<int>(threadIdx.x) / kOrderedSumColumns;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kOrderedSumColumns + column;
  const std::int64_t rows_of_segment = (rows + kOrderedSumSegments - 1) / kOrderedSumSegments;
  const std::int64_t first = segment * rows_of_segment;
  const std::int64_t last = first + rows_of_segment < rows ? first + rows_of_segment : rows;
  T sum = 0;
  if (i < count) {
#pragma unroll 8
    for (std::int64_t r = first; r < last; ++r) sum += parts[r * count + i];
  }
  of_segment[segment][column] = sum;
  __syncthreads();
  if (segment != 0 || i >= count) return;
  for (int s = 1; s < kOrderedSumSegments; ++s) sum += of_segment[s][column];
  y[i] = accumulate ? y[i] + sum : sum;
}

/// parts [rows, count] -> y [count], added to y when `accumulate`.
inline void ordered_sum(const char* name, std::int64_t rows, std::int64_t count, const float* parts, float* y,
                        bool accumulate, cudaStream_t stream) {
  launch(name, {.grid = blocks_for(count, kOrderedSumColumns), .block = kOrderedSumColumns * kOrderedSumSegments},
         stream, ordered_sum_kernel<float>, rows, count, parts, y, accumulate);
}

}  // namespace roap::cuda
