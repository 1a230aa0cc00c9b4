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
    const MmaThread<kWidth> thread;
    Best* columns = all() + thread.warp % Tile::kRowWarps * kWidth;
    merge_rows<kWidth>(
        [&](int j, int c) {
          Best best;
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int pair = first + thread.row(i / 2, i % 2);
            if (pair < count) best.update(sums[i / 2][j][i % 2 * 2 + c], pair);
          }
          return best;
        },
        [](Best a, const Best& b) {
          a.merge(b.value, b.pair);
          return a;
        },
        [&](int column, const Best& best) { columns[column].update(best.value, best.pair); });
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
};

/// Computes  the maximum of z3 over the pairs of a set and the pair that wins, feature by feature
/// Shapes    PointMlpRows, PointMlpBf16Weights -> out [pieces, sets * features]
/// Mapping   a block owns a set (or a piece of it) and kWidth features: grid (sets, pieces, feature blocks)
/// Memory    weights (256 KB for 256 columns) stream from L2 once per 128 rows; nothing but maxima is written
/// Numerics  bf16 products, f32 sums, the first layer and LayerNorm in f32; the lowest pair wins a tie; a NaN only
///           where all values are
/// Limits    hidden <= kWidth, in <= kPointMlpMostInputs
template <int kWidth>
__global__ void __launch_bounds__(MmaTile<kWidth>::kThreads, kWidth <= 128 ? 2 : 1)
    point_mlp_maxima_mma_kernel(PointMlpRows rows, PointMlpBf16Weights w, PointMlpMaxima out) {
  if (are_shared(rows.values)) return;
  using Tile = MmaTile<kWidth>;
  using Maxima = MmaMaxima<kWidth>;
  const PointMlpDims& d = rows.d;
  const int pairs = static_cast<int>(d.pairs);
  const int feature_block = static_cast<int>(blockIdx.z);
  int tile = point_mlp_first_tile(blockIdx.y, gridDim.y, pairs, Tile::kRows);
  const int last = point_mlp_first_tile(blockIdx.y + 1, gridDim.y, pairs, Tile::kRows);
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
  write_point_mlp_maxima<Maxima, kWidth>(d, out);
}

/// Computes  z3 of the distinct values of y
/// Shapes    PointMlpValues, PointMlpBf16Weights -> values.z
/// Mapping   a block owns 128 values and kWidth features: grid (tiles of as many values as may be, feature blocks)
/// Memory    weights stream from L2 once per block; z is written once
/// Numerics  as above
/// Limits    as above
template <int kWidth>
__global__ void __launch_bounds__(MmaTile<kWidth>::kThreads, kWidth <= 128 ? 2 : 1)
    point_mlp_values_mma_kernel(PointMlpDims d, PointMlpValues values, PointMlpBf16Weights w) {
  using Tile = MmaTile<kWidth>;
  const int first = static_cast<int>(blockIdx.x) * Tile::kRows;
  if (!are_shared(values) || first >= *values.count) return;
  const int feature_block = static_cast<int>(blockIdx.y), count = *values.count,
            features = static_cast<int>(d.features);
  MmaWeightStream<kWidth> weights(w.matrices, 1 + feature_block, 1, 1);
  load_vectors<kWidth>(w, feature_block);
  typename Tile::Sums sums;
  compute_tile<kWidth>(
      d, w, first, count, [&](int row, int) { return values.y[row]; }, weights, sums);
  const MmaThread<kWidth> thread;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = first + thread.row(i / 2, i % 2);
    if (row >= count) continue;
    float* z = values.z + static_cast<std::int64_t>(row) * features;
#pragma unroll
    for (int j = 0; j < Tile::kTiles; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int column = feature_block * kWidth + thread.column(j) + c;
        if (column < features) z[column] = sums[i / 2][j][i % 2 * 2 + c];
      }
    }
  }
}

}  // namespace

void point_mlp_values_mma(const PointMlpRows& rows, const PointMlpBf16Weights& w, Stream stream) {
  const PointMlpWidth sizes(rows.d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    using Tile = MmaTile<kWidth>;
    const dim3 grid(blocks_for(rows.values.most, Tile::kRows), static_cast<unsigned>(sizes.feature_blocks));
    launch("point_mlp_values_mma", {.grid = grid, .block = Tile::kThreads, .shared_bytes = Tile::kSharedBytes}, stream,
           point_mlp_values_mma_kernel<kWidth>, rows.d, rows.values, w);
  });
}

void point_mlp_maxima_mma(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out,
                          Stream stream) {
  const PointMlpWidth sizes(rows.d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    using Tile = MmaTile<kWidth>;
    launch("point_mlp_maxima_mma",
           {.grid = point_mlp_maxima_grid(rows.d, out, sizes),
            .block = Tile::kThreads,
            .shared_bytes = MmaMaxima<kWidth>::kSharedBytes},
           stream, point_mlp_maxima_mma_kernel<kWidth>, rows, w, out);
  });
}

}  // namespace roap::cuda
