#include "kernels/common/f32_product.cuh"
#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_f32_tile.cuh"

namespace roap::cuda {

namespace {

/// Where a lane adds up the columns it owns, over all rows that its warp comes across. Nobody else touches the places,
/// so that they need no synchronization; they stay in L2.
template <int kWidth>
struct VectorSums {
  using Tile = F32Tile<kWidth>;
  float* part;  ///< [kPointMlpVectors + in][kWidth]
  bool first;   ///< nothing there yet

  __device__ void add(int vector, const float (&values)[Tile::kColumns]) const {
    float* sums = part + vector * kWidth + lane_index();
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      float& sum = sums[kWarpSize * j];
      sum = first ? values[j] : sum + values[j];
    }
  }
};

/// Writes the warp's rows to out [., kWidth], as far as they are below `count`.
template <int kWidth>
__device__ void write_rows(const typename F32Tile<kWidth>::Values& values, int first, int count, float* out) {
  using Tile = F32Tile<kWidth>;
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
    if (first + i >= count) return;
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      out[static_cast<std::int64_t>(first + i) * kWidth + lane_index() + kWarpSize * j] = values[i][j];
    }
  }
}

/// da2 = dz3 w6, where dz3 has a few entries per row.
template <int kWidth>
__device__ void output_backward(const PointMlpDims& d, const float* w6, const PointMlpWinners& winners, int first,
                                int count, typename F32Tile<kWidth>::Values& da) {
  using Tile = F32Tile<kWidth>;
  const int hidden = static_cast<int>(d.hidden);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) da[i][j] = 0;
    if (first + i >= count) continue;
    const std::int32_t end = winners.first_win[first + i + 1];
    for (std::int32_t at = winners.first_win[first + i]; at < end; ++at) {
      const PointMlpWin win = winners.wins[at];
      const float* w = w6 + static_cast<std::int64_t>(win.feature) * hidden;
#pragma unroll
      for (int j = 0; j < Tile::kColumns; ++j) {
        const int column = lane_index() + kWarpSize * j;
        if (column < hidden) da[i][j] += win.dh * w[column];
      }
    }
  }
}

/// Back through ReLU and LayerNorm, in place: d is da on entry and dz on return. Adds to the gradients of gamma, beta
/// and the bias before.
template <int kWidth>
__device__ void normalise_backward(int hidden, const float* gamma, const float* beta,
                                   const typename F32Tile<kWidth>::Values& xhat,
                                   const float (&rstd)[F32Tile<kWidth>::kWarpRows], const VectorSums<kWidth>& sums,
                                   int dgamma_place, typename F32Tile<kWidth>::Values& d) {
  using Tile = F32Tile<kWidth>;
  float g[Tile::kColumns], b[Tile::kColumns], dgamma[Tile::kColumns] = {}, dbeta[Tile::kColumns] = {};
  float dbias[Tile::kColumns] = {};
  load_columns<kWidth>(gamma, g);
  load_columns<kWidth>(beta, b);
  const float scale = 1.0f / static_cast<float>(hidden);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
    float mean = 0, mean_xhat = 0;
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      const float gradient = xhat[i][j] * g[j] + b[j] > 0 ? d[i][j] : 0.0f;
      dgamma[j] += gradient * xhat[i][j];
      dbeta[j] += gradient;
      d[i][j] = gradient * g[j];
      mean += d[i][j];
      mean_xhat += d[i][j] * xhat[i][j];
    }
    mean = warp_sum(mean) * scale;
    mean_xhat = warp_sum(mean_xhat) * scale;
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      const float dz = rstd[i] * (d[i][j] - mean - xhat[i][j] * mean_xhat);
      d[i][j] = lane_index() + kWarpSize * j < hidden ? dz : 0.0f;  // padding has an xhat, too
      dbias[j] += d[i][j];
    }
  }
  sums.add(dgamma_place, dgamma);
  sums.add(dgamma_place + kBeta4 - kGamma4, dbeta);
  sums.add(dgamma_place + kB3 - kGamma4, dbias);
}

/// dw0 += dz1 x' and, for symbols, dx = w0' dz1.
template <int kWidth>
__device__ void first_backward(const PointMlpDims& d, const PointMlpF32Weights& w,
                               const typename F32Tile<kWidth>::Values& dz, const VectorSums<kWidth>& sums, int first,
                               int count, float* dx) {
  using Tile = F32Tile<kWidth>;
  const int in = static_cast<int>(d.in);
  for (int input = 0; input < in; ++input) {
    const float* x = Tile::inputs() + input * Tile::kRows + warp_index() * Tile::kWarpRows;
    float weights[Tile::kColumns], dw[Tile::kColumns] = {};
    load_columns<kWidth>(w.w0 + input * kWidth, weights);
#pragma unroll
    for (int i = 0; i < Tile::kWarpRows; ++i) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < Tile::kColumns; ++j) {
        dw[j] += dz[i][j] * x[i];
        sum += dz[i][j] * weights[j];
      }
      if (input == 0) continue;
      sum = warp_sum(sum);
      if (lane_index() == 0 && first + i < count) {
        dx[static_cast<std::int64_t>(first + i) * (in - 1) + input - 1] = sum;
      }
    }
    sums.add(kPointMlpVectors + input, dw);
  }
}

/// One tile of rows, of which the warp's begin at `first`.
template <int kWidth>
__device__ void backward_tile(const PointMlpDims& dims, const PointMlpF32Weights& w, const float* w6,
                              const PointMlpWinners& winners, const PointMlpRowMatrices<float>& matrices,
                              F32WeightStream<kWidth>& weights, const VectorSums<kWidth>& sums, float* dx, int first,
                              int count) {
  using Tile = F32Tile<kWidth>;
  const auto vector = [&](PointMlpVector v) { return w.vectors + v * kWidth; };
  typename Tile::Values xhat, d;
  float rstd[Tile::kWarpRows];

  const int in = static_cast<int>(dims.in), hidden = static_cast<int>(dims.hidden);
  load_inputs<kWidth>(in, first, count,
                      [&](int row, int input) { return winners.x[static_cast<std::int64_t>(row) * in + input]; });
  first_layer<kWidth>(in, w, xhat);
  normalise_rows<kWidth>(hidden, xhat, rstd);
  scale_relu<kWidth>(vector(kGamma1), vector(kBeta1), xhat, [&](int i, int j, float a) { d[i][j] = a; });
  store_activations<kWidth>(d);
  write_rows<kWidth>(d, first, count, matrices.a1);

  fill_rows<kWidth>(vector(kB3), xhat);
  multiply_f32<kWidth>(weights, w.slices, xhat);
  normalise_rows<kWidth>(hidden, xhat, rstd);
  write_rows<kWidth>(xhat, first, count, matrices.xhat2);

  output_backward<kWidth>(dims, w6, winners, first, count, d);
  normalise_backward<kWidth>(hidden, vector(kGamma4), vector(kBeta4), xhat, rstd, sums, kGamma4, d);
  store_activations<kWidth>(d);
  write_rows<kWidth>(d, first, count, matrices.dz2);

#pragma unroll
  for (auto& row : d) {
#pragma unroll
    for (float& value : row) value = 0;
  }
  multiply_f32<kWidth>(weights, w.slices, d);
  first_layer<kWidth>(in, w, xhat);
  normalise_rows<kWidth>(hidden, xhat, rstd);
  normalise_backward<kWidth>(hidden, vector(kGamma1), vector(kBeta1), xhat, rstd, sums, kGamma1, d);
  first_backward<kWidth>(dims, w, d, sums, first, count, dx);
}

/// Computes  the network again on the winning rows, then its gradients: of the inputs s and of all weights but w3, w6
///           and b6, whose sums over rows come from a1, xhat2 and dz2 later
/// Shapes    PointMlpF32Weights, w6 [features, hidden], PointMlpWinners -> PointMlpRowMatrices,
///           PointMlpF32Parts
/// Mapping   a block owns every so many consecutive tiles of 64 rows; parts of vectors are a warp's
/// Memory    weights stream from L2 once per tile; a1, xhat2, dz2 are written once; w6 is read where it has gradients
/// Numerics  f32; rows without wins and behind the end contribute zeros; sums of a part run over rows in order
/// Limits    hidden <= kWidth, in <= kPointMlpMostInputs
template <int kWidth>
__global__ void __launch_bounds__(F32Tile<kWidth>::kThreads, 1)
    point_mlp_backward_rows_f32_kernel(PointMlpDims d, PointMlpF32Weights w, const float* w6, PointMlpWinners winners,
                                       PointMlpRowMatrices<float> matrices, PointMlpF32Parts parts) {
  using Tile = F32Tile<kWidth>;
  const int count = *winners.rows, tiles = (count + Tile::kRows - 1) / Tile::kRows;
  const int pieces = min(static_cast<int>(gridDim.x), tiles), piece = static_cast<int>(blockIdx.x);
  if (piece >= pieces) return;
  const auto begin_of = [&](int p) { return static_cast<int>(static_cast<std::int64_t>(p) * tiles / pieces); };
  const int first_tile = begin_of(piece), last_tile = begin_of(piece + 1);
  const std::int64_t part = piece * Tile::kWarps + warp_index();
  VectorSums<kWidth> sums{parts.vectors + part * (kPointMlpVectors + d.in) * kWidth, true};
  F32WeightStream<kWidth> weights(w, 1, 2 * w.slices * (last_tile - first_tile));
  for (int tile = first_tile; tile < last_tile; ++tile) {
    const int first = tile * Tile::kRows + warp_index() * Tile::kWarpRows;
    backward_tile<kWidth>(d, w, w6, winners, matrices, weights, sums, parts.dx, first, count);
    sums.first = false;
  }
}

/// Computes  parts of dw3[o, i] = sum over rows of dz2[row, o] a1[row, i]
/// Shapes    dz2, a1 [rows, width], dw3 [pieces, hidden, hidden]
/// Mapping   a block owns 64 x 64 weights and a piece of the rows: grid (columns, rows of w3, pieces)
/// Memory    dz2 and a1 are read hidden / 64 times (L2)
/// Numerics  f32, rows ascending
__global__ void __launch_bounds__(F32Product::kThreads)
    point_mlp_backward_w3_f32_kernel(int hidden, int width, const std::int32_t* rows, const float* dz2, const float* a1,
                                     float* dw3) {
  const std::int64_t count = *rows, pieces = gridDim.z, piece = blockIdx.z;
  const std::int64_t first = piece * count / pieces;
  const int depth = static_cast<int>((piece + 1) * count / pieces - first);
  const int first_output = static_cast<int>(blockIdx.y) * F32Product::kTile;
  const int first_input = static_cast<int>(blockIdx.x) * F32Product::kTile;
  const auto operand = [&](const float* matrix, int column) {
    return [=](int i, int row) {
      return column + i < hidden && row < depth ? matrix[(first + row) * width + column + i] : 0.0f;
    };
  };
  multiply_f32_tile<ReadAlong::rows, ReadAlong::rows>(
      depth, operand(dz2, first_output), operand(a1, first_input), [&](int o, int i, float sum) {
        if (first_output + o >= hidden || first_input + i >= hidden) return;
        dw3[(piece * hidden + first_output + o) * hidden + first_input + i] = sum;
      });
}

}  // namespace

void point_mlp_backward_rows_f32(const PointMlpDims& d, const PointMlpF32Weights& w, const float* w6,
                                 const PointMlpWinners& winners, const PointMlpRowMatrices<float>& matrices,
                                 const PointMlpF32Parts& parts, Stream stream) {
  with_point_mlp_width(PointMlpWidth(d).width, [&]<int kWidth>() {
    using Tile = F32Tile<kWidth>;
    launch("point_mlp_backward_rows_f32",
           {.grid = kPointMlpPieces, .block = Tile::kThreads, .shared_bytes = Tile::kSharedBytes}, stream,
           point_mlp_backward_rows_f32_kernel<kWidth>, d, w, w6, winners, matrices, parts);
  });
}

void point_mlp_backward_w3_f32(const PointMlpDims& d, const PointMlpWinners& winners,
                               const PointMlpRowMatrices<float>& matrices, const PointMlpMatrixParts& parts,
                               Stream stream) {
  const unsigned tiles = f32_product_tiles(d.hidden);
  launch("point_mlp_backward_w3_f32",
         {.grid = {tiles, tiles, static_cast<unsigned>(parts.w3_parts)}, .block = F32Product::kThreads}, stream,
         point_mlp_backward_w3_f32_kernel, static_cast<int>(d.hidden), PointMlpWidth(d).width, winners.rows,
         matrices.dz2, matrices.a1, parts.w3);
}

}  // namespace roap::cuda
