#pragma once

#include "kernels/common/mma_pieces.cuh"
#include "kernels/common/vector_access.cuh"
#include "kernels/conv2d/conv2d_cuda.h"

// Mean and sum of squared deviations of the channels of a block's results, on their way from shared memory to the map:
// batch_norm need not read the map for them. A lane sees eight channels of some rows; lanes, then warps, are merged in
// a fixed order (Chan et al. 1979).

namespace roap::cuda {

/// Mean (x) and sum of squared deviations (y) of rows_a and rows_b rows together.
__device__ __forceinline__ float2 merge_moments(float2 a, float rows_a, float2 b, float rows_b) {
  const float rows = rows_a + rows_b, share = rows > 0 ? rows_b / rows : 0.0f, delta = b.x - a.x;
  return make_float2(a.x + delta * share, a.y + b.y + delta * delta * rows_a * share);
}

/// Of the rows of a lane: sums of deviations from its first row, which is never far from the mean compared with the
/// deviations of rows that contain it. That row is kept as it is stored, in half of the registers.
class LaneMoments {
 public:
  __device__ __forceinline__ explicit LaneMoments(bool wanted) : rows_(wanted ? 0 : -1) {}

  __device__ __forceinline__ void add(const Vector<Bf16>& row) {
    if (rows_ < 0) return;
    if (rows_++ == 0) start(row);
    float x[kPiece], pivot[kPiece];
    to_floats(row, x);
    to_floats(pivot_, pivot);
#pragma unroll
    for (int i = 0; i < kPiece; ++i) {
      const float deviation = x[i] - pivot[i];
      sum_[i] += deviation;
      squares_[i] += deviation * deviation;
    }
  }

  /// Lanes with the same channels, those kTiles apart, together: lanes below kTiles write float2[8 kTiles] to `kept`,
  /// and behind it the number of rows. All lanes of the warp call it.
  template <int kTiles>
  __device__ __forceinline__ void keep(float* kept) {
    auto rows = static_cast<float>(rows_);
    float pivot[kPiece];
    float2 of_channel[kPiece];
    to_floats(pivot_, pivot);
#pragma unroll
    for (int i = 0; i < kPiece; ++i) {
      const float mean = sum_[i] / rows;
      of_channel[i] =
          rows_ == 0 ? make_float2(0, 0) : make_float2(pivot[i] + mean, max(squares_[i] - sum_[i] * mean, 0.0f));
    }
#pragma unroll
    for (int offset = kTiles; offset < kWarpSize; offset *= 2) {
      const float more_rows = __shfl_xor_sync(kAllLanes, rows, offset);
#pragma unroll
      for (int i = 0; i < kPiece; ++i) {
        const float2 more = make_float2(__shfl_xor_sync(kAllLanes, of_channel[i].x, offset),
                                        __shfl_xor_sync(kAllLanes, of_channel[i].y, offset));
        of_channel[i] = merge_moments(of_channel[i], rows, more, more_rows);
      }
      rows += more_rows;
    }
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    __syncwarp();  // what lay there has been read
    if (lane >= kTiles) return;
#pragma unroll
    for (int i = 0; i < kPiece; ++i) reinterpret_cast<float2*>(kept)[lane * kPiece + i] = of_channel[i];
    if (lane == 0) kept[2 * kTiles * kPiece] = rows;
  }

 private:
  __device__ __forceinline__ void start(const Vector<Bf16>& row) {
    pivot_ = row;
#pragma unroll
    for (int i = 0; i < kPiece; ++i) sum_[i] = squares_[i] = 0;
  }

  int rows_;  ///< -1: nobody wants them
  // Without values before the first row, so that they need no registers either.
  Vector<Bf16> pivot_;
  float sum_[kPiece], squares_[kPiece];
};

/// Writes a block's part: `kept` is what its warps kept, `pitch` floats apart, kWarps warps of the same 8 kTiles
/// channels after each other, kGroups such groups. All threads call it behind a barrier.
template <int kTiles, int kWarps, int kGroups>
__device__ __forceinline__ void write_moments(const ConvMoments& out, int part, const float* kept, int pitch,
                                              int first_channel, int channels) {
  constexpr int kColumns = kTiles * kPiece;
  const int column = static_cast<int>(threadIdx.x);
  if (column >= kGroups * kColumns) return;
  float2 moments = make_float2(0, 0);
  float rows = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    const float* of_warp = kept + (column / kColumns * kWarps + warp) * pitch;
    const float more_rows = of_warp[2 * kColumns];
    moments = merge_moments(moments, rows, reinterpret_cast<const float2*>(of_warp)[column % kColumns], more_rows);
    rows += more_rows;
  }
  if (first_channel + column < channels) {
    reinterpret_cast<float2*>(out.moments)[static_cast<std::int64_t>(part) * channels + first_channel + column] =
        moments;
  }
  if (first_channel + column == 0) out.rows[part] = rows;
}

}  // namespace roap::cuda
