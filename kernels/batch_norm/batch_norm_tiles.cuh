#pragma once

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/common/last_block.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector_access.cuh"

// How the blocks of batch_norm's kernels cover [rows, channels], and the sums over rows that forward and backward need.
// A block owns a slab of up to 64 neighbouring channels and a range of rows. Lane l of a row handles the channels of
// one 16-byte access; the other threads of the block handle the rows below.

namespace roap::cuda {

inline constexpr int kBatchNormThreads = 256;
inline constexpr int kBatchNormWarps = kBatchNormThreads / kWarpSize;
inline constexpr int kBatchNormSlab = 64;  ///< most channels of a block

struct BatchNormTiles {
  std::int64_t rows = 0;
  int channels = 0;
  int lanes = 1;  ///< threads along a row, a power of two
  int slab = 0;   ///< channels of a block: lanes accesses
  int slabs = 0;
  std::int64_t rows_per_block = 0;
  int row_blocks = 0;

  [[nodiscard]] dim3 grid() const { return {static_cast<unsigned>(row_blocks), static_cast<unsigned>(slabs)}; }
};

/// About `blocks` blocks in all, each with at least `row_steps` rows for every thread. A function of the sizes alone.
template <class T>
BatchNormTiles batch_norm_tiles(const BatchNormDims& d, std::int64_t blocks, std::int64_t row_steps) {
  BatchNormTiles t;
  t.rows = d.rows;
  t.channels = static_cast<int>(d.channels);
  while (t.lanes * kVectorSize<T> < std::min<std::int64_t>(d.channels, kBatchNormSlab)) t.lanes *= 2;
  t.slab = t.lanes * kVectorSize<T>;
  t.slabs = static_cast<int>(blocks_for(d.channels, t.slab));
  const std::int64_t rows_at_once = kBatchNormThreads / t.lanes;
  const std::int64_t steps = blocks_for(d.rows * t.slabs, blocks * rows_at_once);
  t.rows_per_block = std::max(steps, row_steps) * rows_at_once;
  t.row_blocks = static_cast<int>(blocks_for(d.rows, t.rows_per_block));
  return t;
}

/// Sums: few blocks, because the last one reads what all of them found; 512 fill a card once.
template <class T>
BatchNormTiles batch_norm_sum_tiles(const BatchNormDims& d) {
  return batch_norm_tiles<T>(d, 512, 4);
}
/// Element by element: more, smaller blocks.
template <class T>
BatchNormTiles batch_norm_map_tiles(const BatchNormDims& d) {
  return batch_norm_tiles<T>(d, 2048, 1);
}

/// What a thread handles: channels [channel, channel + count), count <= 0 for none, of every rows_at_once-th row of
/// [first_row, last_row).
struct BatchNormPlace {
  int lane, channel, count;
  std::int64_t first_row, last_row;
  int rows_at_once;
};

template <class T>
__device__ __forceinline__ BatchNormPlace batch_norm_place(const BatchNormTiles& t) {
  BatchNormPlace p;
  p.lane = static_cast<int>(threadIdx.x) % t.lanes;
  p.channel = static_cast<int>(blockIdx.y) * t.slab + p.lane * kVectorSize<T>;
  p.count = t.channels - p.channel;
  const std::int64_t begin = blockIdx.x * t.rows_per_block;
  p.rows_at_once = kBatchNormThreads / t.lanes;
  p.first_row = begin + static_cast<int>(threadIdx.x) / t.lanes;
  p.last_row = min(t.rows, begin + t.rows_per_block);
  return p;
}

/// Two sums of each channel of a block's slab, for thread c of the first `slab` threads those of channel c: adds
/// `first` and `second` of all threads with that channel, warp by warp. All threads call.
template <int kCount>
__device__ __forceinline__ float2 batch_norm_block_sums(const BatchNormTiles& t, float (&first)[kCount],
                                                        float (&second)[kCount]) {
  ROAP_SHARED(sums, float2[kBatchNormWarps][kBatchNormSlab]);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    for (int offset = kWarpSize / 2; offset >= t.lanes; offset /= 2) {
      first[i] += __shfl_xor_sync(kAllLanes, first[i], offset);
      second[i] += __shfl_xor_sync(kAllLanes, second[i], offset);
    }
  }
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;
  if (lane < t.lanes) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) sums[warp][lane * kCount + i] = make_float2(first[i], second[i]);
  }
  __syncthreads();
  float2 sum = make_float2(0, 0);
  for (int w = 0; thread < t.slab && w < kBatchNormWarps; ++w) {
    sum.x += sums[w][thread].x;
    sum.y += sums[w][thread].y;
  }
  return sum;
}

/// Sums term(row block) over all row blocks: every thread adds the terms of some row blocks in ascending order, then
/// the threads of a channel are added in order. The result is that of thread c for channel c. All threads call.
template <class Term>
__device__ __forceinline__ double2 batch_norm_sum_row_blocks(const BatchNormTiles& t, const Term& term) {
  ROAP_SHARED(sums, double2[kBatchNormThreads]);
  const int thread = static_cast<int>(threadIdx.x), parts = kBatchNormThreads / t.slab;
  double2 sum = make_double2(0, 0);
#pragma unroll 8
  for (int block = thread / t.slab; block < t.row_blocks; block += parts) {
    const double2 x = term(block);
    sum.x += x.x;
    sum.y += x.y;
  }
  sums[thread] = sum;
  __syncthreads();
  for (int part = 1; thread < t.slab && part < parts; ++part) {
    sum.x += sums[part * t.slab + thread].x;
    sum.y += sums[part * t.slab + thread].y;
  }
  return sum;
}

}  // namespace roap::cuda
