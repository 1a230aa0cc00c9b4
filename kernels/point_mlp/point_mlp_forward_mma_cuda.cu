#include "kernels/common/launch.h"
#include "kernels/common/ptx/opaque.h"
#include "kernels/point_mlp/point_mlp_mma_tile.cuh"

namespace roap::cuda {

namespace {

/// z3 = w6 a2 + b6 of a tile; value(row, input) gives the inputs of row `first` to `count`.
template <int kWidth, class Value>
__device__ __forceinline__ void compute_tile(const PointMlpDims& d, const PointMlpBf16Weights& w, int first, int count,
                                             const Value& value, MmaWeightStream<kWidth>& weights,
                                             typename MmaTile<kWidth>::Sums& sums) {
  using Tile = MmaTile<kWidth>;
  const int in = static_cast<int>(d.in), hidden = static_cast<int>(d.hidden);
  load_inputs_mma<kWidth>(in, w.gram, first, count, value);
  __syncthreads();  // u is there, and nobody reads activations of the tile before any more
  first_layer_mma<kWidth>(in, w.first, [](int, int, bool, bool) {});
  fill_rows<kWidth>(Tile::vector(0), sums);
  multiply_mma<kWidth>(weights, hidden, sums);
  float rstd[2][2];
  centred_rstd<kWidth>(hidden, sums, rstd);
  store_second_activations<kWidth>(sums, rstd);
  fill_rows<kWidth>(Tile::vector(3), sums);
  multiply_mma<kWidth>(weights, hidden, sums);
}

/// The maxima of each warp's rows so far, in shared memory, where one lane reads and writes a column.
template <int kWidth>
class MmaMaxima {
 public:
  using Tile = MmaTile<kWidth>;
  static constexpr std::size_t kSharedBytes = Tile::kSharedBytes + Tile::kRowWarps * kWidth * sizeof(Best);

  static __device__ void clear() {
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kRowWarps * kWidth; i += Tile::kThreads) all()[i] = Best{};
    __syncthreads();
  }
  /// Rows of the tile are elements first ... of a set of `count`.
  static __device__ void update(const typename Tile::Sums& sums, int first, int count) {
    Best best[2 * Tile::kTiles];
#pragma unroll
    for (int j = 0; j < Tile::kTiles; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
#pragma unroll
        for (int m = 0; m < 2; ++m) {
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const int pair = first + Tile::row(m, h);
            if (pair < count) best[2 * j + c].update(sums[m][j][2 * h + c], pair);
          }
        }
      }
    }
    merge_lanes<2 * Tile::kTiles, 16>(best, 0, true);
  }
  /// Merges the maxima of all rows and writes those of `columns` features.
  static __device__ void write(int columns, float* value, std::int32_t* pair) {
    __syncthreads();
    for (int column = static_cast<int>(threadIdx.x); column < columns; column += Tile::kThreads) {
      Best best;
      for (int warp = 0; warp < Tile::kRowWarps; ++warp) {
        const Best other = all()[warp * kWidth + column];
        best.merge(other.value, other.pair);
      }
      best.finish();
      value[column] = best.value;
      pair[column] = best.pair;
    }
  }

 private:
  static __device__ Best* all() { return dynamic_shared<Best>(Tile::kSharedBytes); }

  /// Merges the columns of the eight lanes that hold the same ones, from kCount on: lanes that differ in bit kLane
  /// exchange halves of their columns, so that each goes on with one. An odd number is merged by both, of which one
  /// goes on as `mine`. The first column of a lane is its column `offset` of update().
  template <int kCount, int kLane>
  static __device__ __forceinline__ void merge_lanes(Best* best, int offset, bool mine) {
    if constexpr (kLane < 4) {
      if (!mine) return;
      Best* columns = all() + warp_index() % Tile::kRowWarps * kWidth;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        columns[Tile::column((offset + i) / 2) + (offset + i) % 2].update(best[i].value, best[i].pair);
      }
    } else {
      constexpr bool kHalves = kCount % 2 == 0;
      constexpr int kKept = kHalves ? kCount / 2 : kCount;
      const bool upper = (lane_index() & kLane) != 0;
#pragma unroll
      for (int i = 0; i < kKept; ++i) {
        Best given = best[i];
        if constexpr (kHalves) {
          given = upper ? best[i] : best[i + kKept];
          best[i] = upper ? best[i + kKept] : best[i];
        }
        const float value = __shfl_xor_sync(kAllLanes, given.value, kLane);
        const std::int32_t pair = __shfl_xor_sync(kAllLanes, given.pair, kLane);
        best[i].merge(value, pair);
      }
      merge_lanes<kKept, kLane / 2>(best, offset + (kHalves && upper ? kKept : 0), mine && (kHalves || !upper));
    }
  }
};

/// Computes  the maximum of z3 over the pairs of a set and the pair that wins, feature by feature
/// Shapes    PointMlpRows, PointMlpBf16Weights -> out [pieces, sets * features]
/// Mapping   a block owns a set (or a piece of it) and kWidth features: grid (sets, pieces, feature blocks)
/// Memory    weights (256 KB for 256 columns) stream from L2 once per 128 rows; nothing but maxima is written
/// Numerics  bf16 products, f32 sums, the first layer and LayerNorm in f32; the lowest pair wins a tie; a NaN only
/// where
///           all values are
/// Limits    hidden <= kWidth, in <= kPointMlpMostInputs
template <int kWidth>
__global__ void __launch_bounds__(MmaTile<kWidth>::kThreads, kWidth <= 128 ? 2 : 1)
    point_mlp_maxima_mma_kernel(PointMlpRows rows, PointMlpBf16Weights w, PointMlpMaxima out) {
  using Tile = MmaTile<kWidth>;
  using Maxima = MmaMaxima<kWidth>;
  const PointMlpDims& d = rows.d;
  const int pairs = static_cast<int>(d.pairs), features = static_cast<int>(d.features);
  const int feature_block = static_cast<int>(blockIdx.z);
  int tile = point_mlp_first_tile(blockIdx.y, pairs, Tile::kRows);
  const int last = point_mlp_first_tile(blockIdx.y + 1, pairs, Tile::kRows);
  MmaWeightStream<kWidth> weights(w.matrices, 1 + feature_block, 1, last - tile);
  load_vectors<kWidth>(w, feature_block);
  Maxima::clear();
  for (; tile < last; ++tile) {
    const PointMlpSet elements(rows, static_cast<int>(ptx::opaque(blockIdx.x)));
    typename Tile::Sums sums;
    compute_tile<kWidth>(
        d, w, tile * Tile::kRows, pairs, [&](int pair, int input) { return elements.input(pair, input); }, weights,
        sums);
    Maxima::update(sums, tile * Tile::kRows, pairs);
  }
  const int column = feature_block * kWidth;
  const std::int64_t at = (blockIdx.y * d.tasks * d.groups + blockIdx.x) * features + column;
  Maxima::write(min(kWidth, features - column), out.value + at, out.pair + at);
}

}  // namespace

void point_mlp_maxima_mma(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out,
                          Stream stream) {
  const PointMlpWidth sizes(rows.d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    using Tile = MmaTile<kWidth>;
    const dim3 grid(static_cast<unsigned>(rows.d.tasks * rows.d.groups), static_cast<unsigned>(out.pieces),
                    static_cast<unsigned>(sizes.feature_blocks));
    launch("point_mlp_maxima_mma",
           {.grid = grid, .block = Tile::kThreads, .shared_bytes = MmaMaxima<kWidth>::kSharedBytes}, stream,
           point_mlp_maxima_mma_kernel<kWidth>, rows, w, out);
  });
}

}  // namespace roap::cuda
