#pragma once

#include "kernels/common/reduce.cuh"
#include "kernels/point_mlp/point_mlp_device.h"

namespace roap::cuda {

__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x) % kWarpSize; }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarpSize; }

/// The place of column c in the backward pass by warpgroups, and the reverse: of every 32 columns, place 8 i + 2 t + b
/// has column 8 t + 2 i + b. What a thread has of four products of 8 columns, two each, are then 8 columns in a row.
__device__ __forceinline__ int point_mlp_place(int c) { return (c & ~30) | (c & 6) << 2 | (c >> 2 & 6); }

__device__ __forceinline__ float relu(float x) { return x < 0 ? 0.0f : x; }  // a NaN stays one

/// Whether kernels are to compute the rows of distinct values, and no others.
__device__ __forceinline__ bool are_shared(const PointMlpValues& values) {
  return values.count != nullptr && *values.count <= values.most;
}

/// First tile of one of the pieces of a set; that of the next piece is its end.
__device__ __forceinline__ int point_mlp_first_tile(std::uint32_t piece, std::uint32_t pieces, int pairs,
                                                    int tile_rows) {
  const std::int64_t tiles = (pairs + tile_rows - 1) / tile_rows;
  return static_cast<int>(piece * tiles / pieces);
}

/// Grid of the kernels that find maxima: (set, piece, block of features).
inline dim3 point_mlp_maxima_grid(const PointMlpDims& d, const PointMlpMaxima& out, const PointMlpWidth& sizes) {
  return dim3(static_cast<unsigned>(d.tasks * d.groups), static_cast<unsigned>(out.pieces),
              static_cast<unsigned>(sizes.feature_blocks));
}

/// Writes the maxima that a block of that grid found.
template <class Maxima, int kWidth>
__device__ __forceinline__ void write_point_mlp_maxima(const PointMlpDims& d, const PointMlpMaxima& out) {
  const int features = static_cast<int>(d.features);
  const int column = static_cast<int>(blockIdx.z) * kWidth;
  const std::int64_t at = (blockIdx.y * d.tasks * d.groups + blockIdx.x) * features + column;
  Maxima::write(min(kWidth, features - column), out.value + at, out.pair + at);
}

/// Inputs of the network for the elements of a set.
struct PointMlpSet {
  const float* y;               ///< [pairs]
  const float* s;               ///< [pairs, symbols]
  const std::int32_t* columns;  ///< [in - 1]
  int symbols;

  __device__ __forceinline__ PointMlpSet(const PointMlpRows& rows, int set) {
    const int groups = static_cast<int>(rows.d.groups);
    y = rows.y + set / groups * rows.d.pairs;
    s = rows.s;
    columns = rows.columns + set % groups * (rows.d.in - 1);
    symbols = static_cast<int>(rows.d.symbols);
  }
  __device__ __forceinline__ float input(int pair, int input) const {
    return input == 0 ? y[pair] : s[static_cast<std::int64_t>(pair) * symbols + columns[input - 1]];
  }
};

/// The best value so far and the pair it belongs to. A NaN never wins; where nothing else was there, finish() makes the
/// value NaN and the pair 0.
struct Best {
  static constexpr std::int32_t kNobody = 0x7fffffff;
  float value = -INFINITY;
  std::int32_t pair = kNobody;

  /// Pairs come in ascending order: the lowest one wins a tie.
  __device__ __forceinline__ void update(float candidate, std::int32_t candidate_pair) {
    if (!(candidate > value)) return;
    value = candidate;
    pair = candidate_pair;
  }
  /// Pairs in any order.
  __device__ __forceinline__ void merge(float candidate, std::int32_t candidate_pair) {
    if (!(candidate > value) && !(candidate == value && candidate_pair < pair)) return;
    value = candidate;
    pair = candidate_pair;
  }
  __device__ __forceinline__ void finish() {
    if (pair != kNobody) return;
    value = NAN;
    pair = 0;
  }
};

/// The value of the lane whose number differs in the bits of `lane`.
__device__ __forceinline__ float exchange(float x, int lane) { return __shfl_xor_sync(kAllLanes, x, lane); }
__device__ __forceinline__ Best exchange(const Best& x, int lane) {
  return {__shfl_xor_sync(kAllLanes, x.value, lane), __shfl_xor_sync(kAllLanes, x.pair, lane)};
}

/// Merges kCount columns among the lanes that differ in bits kLane to 4. Lanes that differ in bit kLane exchange halves
/// of their columns, so that each goes on with one; an odd number is merged by both, of which one goes on as `mine`. In
/// the end use(number of the column, merged value) is called once for each; the first column is number `first`.
template <int kCount, int kLane, class T, class Merge, class Use>
__device__ __forceinline__ void merge_lanes(int lane, T* values, int first, bool mine, const Merge& merge,
                                            const Use& use) {
  if constexpr (kLane < 4) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (mine) use(first + i, values[i]);
    }
  } else {
    constexpr bool kHalves = kCount % 2 == 0;
    constexpr int kKept = kHalves ? kCount / 2 : kCount;
    const bool upper = (lane & kLane) != 0;
#pragma unroll
    for (int i = 0; i < kKept; ++i) {
      T given = values[i];
      if constexpr (kHalves) {
        given = upper ? values[i] : values[i + kKept];
        values[i] = upper ? values[i + kKept] : values[i];
      }
      values[i] = merge(values[i], exchange(given, kLane));
    }
    merge_lanes<kKept, kLane / 2>(lane, values, first + (kHalves && upper ? kKept : 0), mine && (kHalves || !upper),
                                  merge, use);
  }
}

/// u = v * rstd of a row (point_mlp_mma_tile.cuh), v = (value(0), ..., value(in - 1), 1), to u[0], u[stride], ...
template <class Value>
__device__ __forceinline__ void normalised_inputs(int in, const float* gram, float* u, int stride, const Value& value) {
#pragma unroll 1
  for (int j = 0; j < in; ++j) u[j * stride] = value(j);
  u[in * stride] = 1;
  float variance = 0;
#pragma unroll 1
  for (int j = 0; j <= in; ++j) {
    float sum = 0;
    for (int i = 0; i <= in; ++i) sum += gram[j * (in + 1) + i] * u[i * stride];
    variance += sum * u[j * stride];
  }
  const float rstd = rsqrtf(fmaxf(variance, 0.0f) + kPointMlpEpsilon);
#pragma unroll 1
  for (int j = 0; j <= in; ++j) u[j * stride] *= rstd;
}

}  // namespace roap::cuda
