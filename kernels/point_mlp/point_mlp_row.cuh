#pragma once

#include "kernels/common/reduce.cuh"
#include "kernels/point_mlp/point_mlp_device.h"

namespace roap::cuda {

__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x) % kWarpSize; }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarpSize; }

__device__ __forceinline__ float relu(float x) { return x < 0 ? 0.0f : x; }  // a NaN stays one

/// First tile of one of gridDim.y pieces of a set; that of the next piece is its end.
__device__ __forceinline__ int point_mlp_first_tile(std::uint32_t piece, int pairs, int tile_rows) {
  const std::int64_t tiles = (pairs + tile_rows - 1) / tile_rows;
  return static_cast<int>(piece * tiles / gridDim.y);
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

}  // namespace roap::cuda
