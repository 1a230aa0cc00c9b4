#pragma once

#include "kernels/common/reduce.cuh"

// Sums over the rows of a matrix, a block for 32 neighbouring columns: coalesced, and in an order that depends on the
// number of rows alone.

namespace roap::cuda {

inline constexpr int kColumnSumColumns = 32;
inline constexpr int kColumnSumLanes = 16;  ///< rows of a column that are added side by side
inline constexpr int kColumnSumThreads = kColumnSumColumns * kColumnSumLanes;

__device__ __forceinline__ int column_of_sum() { return static_cast<int>(threadIdx.x) % kColumnSumColumns; }

/// All kColumnSumThreads threads call it. value(row) gives the thread's column of a row; the sum of rows [0, count) is
/// returned to the threads below kColumnSumColumns, each for its own column. A lane adds every kColumnSumLanes-th row,
/// then the lanes are added in their order.
template <class Value>
__device__ __forceinline__ float column_sum(std::int64_t count, const Value& value ROAP_AND_CALLER) {
  ROAP_SHARED(of_lane, float[kColumnSumLanes][kColumnSumColumns]);
  const int lane = static_cast<int>(threadIdx.x) / kColumnSumColumns;
  float sum = 0;
#pragma unroll 4
  for (std::int64_t row = lane; row < count; row += kColumnSumLanes) sum += value(row);
  __syncthreads(ROAP_PASS_CALLER);  // an earlier call's sums may still be read
  of_lane[lane][column_of_sum()] = sum;
  __syncthreads(ROAP_PASS_CALLER);
  if (lane > 0) return 0;
#pragma unroll
  for (int other = 1; other < kColumnSumLanes; ++other) sum += of_lane[other][column_of_sum()];
  return sum;
}

/// Blocks that `columns` columns need.
inline unsigned column_sum_blocks(std::int64_t columns) {
  return static_cast<unsigned>((columns + kColumnSumColumns - 1) / kColumnSumColumns);
}

}  // namespace roap::cuda
