#include "kernels/common/launch.h"
#include "kernels/common/ptx/opaque.h"
#include "kernels/point_mlp/point_mlp_f32_tile.cuh"

namespace roap::cuda {

namespace {

/// z = w6 a2 + b6 of the warp's rows of one tile.
template <int kWidth>
__device__ void compute_rows(const PointMlpDims& d, const PointMlpF32Weights& w, const float* b6,
                             F32WeightStream<kWidth>& weights, typename F32Tile<kWidth>::Values& z) {
  using Tile = F32Tile<kWidth>;
  const int hidden = static_cast<int>(d.hidden);
  const auto relu = [&](PointMlpVector gamma, PointMlpVector beta) {
    float rstd[Tile::kWarpRows];
    normalise_rows<kWidth>(hidden, z, rstd);
    scale_relu<kWidth>(w.vectors + gamma * kWidth, w.vectors + beta * kWidth, z,
                       [&](int i, int j, float a) { z[i][j] = a; });
    store_activations<kWidth>(z);
  };
  first_layer<kWidth>(static_cast<int>(d.in), w, z);
  relu(kGamma1, kBeta1);
  fill_rows<kWidth>(w.vectors + kB3 * kWidth, z);
  multiply_f32<kWidth>(weights, w.slices, z);
  relu(kGamma4, kBeta4);
  fill_rows<kWidth>(b6, z);
  multiply_f32<kWidth>(weights, w.slices, z);
}

/// The maxima of each warp so far, in shared memory, where a lane reads and writes its own columns.
template <int kWidth>
class WarpMaxima {
 public:
  using Tile = F32Tile<kWidth>;
  static constexpr std::size_t kSharedBytes = Tile::kSharedBytes + Tile::kWarps * kWidth * sizeof(Best);

  static __device__ void clear() {
    for (int j = 0; j < Tile::kColumns; ++j) mine(j) = Best{};
  }
  /// Rows of z are elements first ... of a set of `count`.
  static __device__ void update(const typename Tile::Values& z, int first, int count) {
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      Best best = mine(j);
#pragma unroll
      for (int i = 0; i < Tile::kWarpRows; ++i) {
        if (first + i < count) best.update(z[i][j], first + i);
      }
      mine(j) = best;
    }
  }
  /// Merges the maxima of all warps and writes those of `columns` features.
  static __device__ void write(int columns, float* value, std::int32_t* pair) {
    __syncthreads();
    const int column = static_cast<int>(threadIdx.x);
    if (column >= columns) return;
    Best best;
    for (int warp = 0; warp < Tile::kWarps; ++warp) {
      const Best other = all()[warp * kWidth + column];
      best.merge(other.value, other.pair);
    }
    best.finish();
    value[column] = best.value;
    pair[column] = best.pair;
  }

 private:
  static __device__ Best* all() { return dynamic_shared<Best>(Tile::kSharedBytes); }
  static __device__ Best& mine(int j) { return all()[warp_index() * kWidth + lane_index() + kWarpSize * j]; }
};

/// Computes  the maximum of z3 over the pairs of a set and the pair that wins, feature by feature
/// Shapes    PointMlpRows, PointMlpF32Weights -> out [pieces, sets * features]
/// Mapping   a block owns a set (or a piece of it) and kWidth features: grid (sets, pieces, feature blocks)
/// Memory    weights (512 KB for 256 columns) stream from L2 once per 64 rows: 8 bytes a cycle; nothing but maxima is
///           written. Bound by FFMA issue: 2 * kWidth^2 a row
/// Numerics  f32 sums in ascending order of inputs; the lowest pair wins a tie; a NaN only where all values are
/// Limits    hidden <= kWidth, in <= kPointMlpMostInputs
template <int kWidth>
__global__ void __launch_bounds__(F32Tile<kWidth>::kThreads, 2)
    point_mlp_maxima_f32_kernel(PointMlpRows rows, PointMlpF32Weights w, PointMlpMaxima out) {
  if (are_shared(rows.values)) return;
  using Tile = F32Tile<kWidth>;
  const PointMlpDims& d = rows.d;
  const int pairs = static_cast<int>(d.pairs);
  const int feature_block = static_cast<int>(blockIdx.z);
  int tile = point_mlp_first_tile(blockIdx.y, gridDim.y, pairs, Tile::kRows);
  const int tiles = point_mlp_first_tile(blockIdx.y + 1, gridDim.y, pairs, Tile::kRows) - tile;
  F32WeightStream<kWidth> weights(w, 1 + feature_block, 2 * w.slices * tiles);
  using Maxima = WarpMaxima<kWidth>;
  Maxima::clear();
  // What opaque numbers lead to is computed anew for each tile, because the products need the registers.
  for (; tile < point_mlp_first_tile(ptx::opaque(blockIdx.y) + 1, gridDim.y, pairs, Tile::kRows); ++tile) {
    const int first = tile * Tile::kRows + warp_index() * Tile::kWarpRows;
    const PointMlpSet elements(rows, static_cast<int>(ptx::opaque(blockIdx.x)));
    load_inputs<kWidth>(static_cast<int>(d.in), first, pairs,
                        [&](int pair, int input) { return elements.input(pair, input); });
    typename Tile::Values z;
    compute_rows<kWidth>(d, w, w.b6 + ptx::opaque(blockIdx.z) * kWidth, weights, z);
    Maxima::update(z, first, pairs);
  }
  write_point_mlp_maxima<Maxima, kWidth>(d, out);
}

/// Computes  z3 of the distinct values of y
/// Shapes    PointMlpValues, PointMlpF32Weights -> values.z
/// Mapping   a block owns 64 values and kWidth features: grid (tiles of as many values as may be, feature blocks)
/// Memory    weights stream from L2 once per block; z is written once
/// Numerics  as above
/// Limits    as above
template <int kWidth>
__global__ void __launch_bounds__(F32Tile<kWidth>::kThreads, 2)
    point_mlp_values_f32_kernel(PointMlpDims d, PointMlpValues values, PointMlpF32Weights w) {
  using Tile = F32Tile<kWidth>;
  const int feature_block = static_cast<int>(blockIdx.y), features = static_cast<int>(d.features);
  const int first = static_cast<int>(blockIdx.x) * Tile::kRows + warp_index() * Tile::kWarpRows;
  if (!are_shared(values) || static_cast<int>(blockIdx.x) * Tile::kRows >= *values.count) return;
  const int count = *values.count;
  F32WeightStream<kWidth> weights(w, 1 + feature_block, 2 * w.slices);
  load_inputs<kWidth>(static_cast<int>(d.in), first, count, [&](int row, int) { return values.y[row]; });
  typename Tile::Values z;
  compute_rows<kWidth>(d, w, w.b6 + feature_block * kWidth, weights, z);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      const int column = feature_block * kWidth + lane_index() + kWarpSize * j;
      if (first + i < count && column < features) {
        values.z[static_cast<std::int64_t>(first + i) * features + column] = z[i][j];
      }
    }
  }
}

}  // namespace

void point_mlp_values_f32(const PointMlpRows& rows, const PointMlpF32Weights& w, Stream stream) {
  const PointMlpWidth sizes(rows.d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    using Tile = F32Tile<kWidth>;
    const dim3 grid(blocks_for(rows.values.most, Tile::kRows), static_cast<unsigned>(sizes.feature_blocks));
    launch("point_mlp_values_f32", {.grid = grid, .block = Tile::kThreads, .shared_bytes = Tile::kSharedBytes}, stream,
           point_mlp_values_f32_kernel<kWidth>, rows.d, rows.values, w);
  });
}

void point_mlp_maxima_f32(const PointMlpRows& rows, const PointMlpF32Weights& w, const PointMlpMaxima& out,
                          Stream stream) {
  const PointMlpWidth sizes(rows.d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    using Tile = F32Tile<kWidth>;
    launch("point_mlp_maxima_f32",
           {.grid = point_mlp_maxima_grid(rows.d, out, sizes),
            .block = Tile::kThreads,
            .shared_bytes = WarpMaxima<kWidth>::kSharedBytes},
           stream, point_mlp_maxima_f32_kernel<kWidth>, rows, w, out);
  });
}

}  // namespace roap::cuda
