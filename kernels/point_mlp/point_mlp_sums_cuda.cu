#include "kernels/common/column_sum.cuh"
#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Sums over winning rows and over pieces: everything of the backward pass that is not a product of matrices.

namespace roap::cuda {

namespace {

constexpr int kOutputThreads = 128;

/// Computes  parts of dw6[f, k] = sum over sets of dh[set, f] a2[row that won (set, f), k]
/// Shapes    dh, row_of_win [sets, features], a2 [rows, width], dw6 [pieces, features, hidden]
/// Mapping   a block owns a feature and a piece of the sets, a thread two columns
/// Memory    a row of a2 for every (set, f): 2 * width bytes in bf16 of L2 traffic each, which bounds it
/// Numerics  f32, sets ascending
/// Limits    hidden <= 2 * kOutputThreads
template <class T>
__global__ void __launch_bounds__(kOutputThreads)
    point_mlp_backward_w6_kernel(PointMlpDims d, int width, const float* dh, const std::int32_t* row_of_win,
                                 const T* a2, float* dw6) {
  const std::int64_t sets = d.tasks * d.groups, pieces = gridDim.y, piece = blockIdx.y, feature = blockIdx.x;
  const int column = 2 * static_cast<int>(threadIdx.x), hidden = static_cast<int>(d.hidden);
  if (column >= hidden) return;
  float low = 0, high = 0;
#pragma unroll 4
  for (std::int64_t set = piece * sets / pieces; set < (piece + 1) * sets / pieces; ++set) {
    const std::int64_t win = set * d.features + feature;
    const T* a = a2 + static_cast<std::int64_t>(row_of_win[win]) * width + column;
    low += dh[win] * to_float(a[0]);
    high += dh[win] * to_float(a[1]);
  }
  float* out = dw6 + (piece * d.features + feature) * hidden + column;
  out[0] = low;
  if (column + 1 < hidden) out[1] = high;
}

/// out[column * out_stride] = sum over parts of values[part * stride + column].
struct PartialSums {
  const float* values;
  float* out;
  std::int64_t parts, stride, columns, out_stride;
  int parts_per_tile;  ///< where not zero, only so many parts per tile of winning rows are there
};
struct PartialSumsList {
  PartialSums of[3 + kPointMlpVectors + kPointMlpMostInputs];
  int count = 0;
  int tile_rows = 1;
};

/// Computes  the gradients of all weights, from their parts
/// Shapes    PartialSums
/// Mapping   blockIdx.y is the weight; blocks stride over groups of 32 columns
/// Memory    every part is read once, coalesced
/// Numerics  f32, in the fixed order of column_sum
__global__ void __launch_bounds__(kColumnSumThreads)
    point_mlp_add_parts_kernel(PartialSumsList list, const std::int32_t* rows) {
  const PartialSums sums = list.of[blockIdx.y];
  std::int64_t parts = sums.parts;
  if (sums.parts_per_tile > 0) {
    const int tiles = (*rows + list.tile_rows - 1) / list.tile_rows;
    parts = min(parts, static_cast<std::int64_t>(tiles) * sums.parts_per_tile);
  }
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns; first < sums.columns;
       first += static_cast<std::int64_t>(gridDim.x) * kColumnSumColumns) {
    const std::int64_t column = first + column_of_sum();
    const bool inside = column < sums.columns;
    const float sum =
        column_sum(parts, [&](std::int64_t part) { return inside ? sums.values[part * sums.stride + column] : 0.0f; });
    if (threadIdx.x < kColumnSumColumns && inside) sums.out[column * sums.out_stride] = sum;
  }
}

/// Computes  ds[pair, symbol] (+)= sum of dx over the sets that the pair won anything in
/// Shapes    row_of_pair [sets, pairs], dx [rows, in - 1], ds [pairs, symbols]
/// Mapping   a block owns 32 pairs of a symbol
/// Memory    row_of_pair is read once per symbol, coalesced; dx once
/// Numerics  f32, in the fixed order of column_sum over sets
__global__ void __launch_bounds__(kColumnSumThreads)
    point_mlp_backward_symbols_kernel(PointMlpRows inputs, const std::int32_t* row_of_pair, const float* dx, float* ds,
                                      bool accumulate) {
  const PointMlpDims& d = inputs.d;
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  const auto symbol = static_cast<std::int32_t>(blockIdx.y);
  const int columns = static_cast<int>(d.in) - 1;
  const float sum = column_sum(d.tasks * d.groups, [&](std::int64_t set) {
    const std::int32_t row = pair < d.pairs ? row_of_pair[set * d.pairs + pair] : -1;
    const std::int32_t* seen = inputs.columns + set % d.groups * columns;
    float share = 0;
    for (int j = 0; j < columns; ++j) {
      if (seen[j] == symbol && row >= 0) share += dx[static_cast<std::int64_t>(row) * columns + j];
    }
    return share;
  });
  if (threadIdx.x >= kColumnSumColumns || pair >= d.pairs) return;
  float& target = ds[pair * d.symbols + symbol];
  target = accumulate ? target + sum : sum;
}

}  // namespace

PointMlpGradientParts take_point_mlp_gradient_parts(const PointMlpDims& d, int tile_rows, int parts_per_tile,
                                                    WorkspaceCutter& workspace) {
  constexpr std::int64_t kBlocks = 512;  // enough to fill a device
  constexpr std::int64_t kWeightsOfBlock = 64 * 64, kMostParts = 32;
  const auto parts_for = [&](std::int64_t blocks, std::int64_t most) {
    return static_cast<int>(std::clamp<std::int64_t>(kBlocks / blocks, 1, most));
  };
  PointMlpGradientParts parts{};
  parts.tile_rows = tile_rows;
  parts.parts_per_tile = parts_per_tile;
  parts.vectors =
      workspace.take<float>(kPointMlpPieces * parts_per_tile * (kPointMlpVectors + d.in) * PointMlpWidth(d).width);
  parts.dx = workspace.take<float>(point_mlp_most_winners(d) * (d.in - 1));
  parts.w3_parts = parts_for(pieces_of(d.hidden * d.hidden, kWeightsOfBlock), kMostParts);
  parts.w6_parts = parts_for(pieces_of(d.features, 4), std::min(kMostParts, d.tasks * d.groups));
  parts.w3 = workspace.take<float>(parts.w3_parts * d.hidden * d.hidden);
  parts.w6 = workspace.take<float>(parts.w6_parts * d.features * d.hidden);
  return parts;
}

template <class T>
void point_mlp_backward_w6(const PointMlpDims& d, const float* dh, const PointMlpWinners& winners, const T* a2,
                           const PointMlpGradientParts& parts, Stream stream) {
  launch("point_mlp_backward_w6",
         {.grid = {static_cast<unsigned>(d.features), static_cast<unsigned>(parts.w6_parts)}, .block = kOutputThreads},
         stream, point_mlp_backward_w6_kernel<T>, d, PointMlpWidth(d).width, dh, winners.row_of_win, a2, parts.w6);
}
template void point_mlp_backward_w6<float>(const PointMlpDims&, const float*, const PointMlpWinners&, const float*,
                                           const PointMlpGradientParts&, Stream);
template void point_mlp_backward_w6<Bf16>(const PointMlpDims&, const float*, const PointMlpWinners&, const Bf16*,
                                          const PointMlpGradientParts&, Stream);

void add_point_mlp_parts(const PointMlpDims& d, const float* dh, const PointMlpWinners& winners,
                         const PointMlpGradientParts& parts, const PointMlpWeights<float>& dw, Stream stream) {
  constexpr unsigned kBlocks = 256;
  PartialSumsList list;
  list.tile_rows = parts.tile_rows;
  const auto add = [&](const PartialSums& sums) {
    if (sums.out != nullptr) list.of[list.count++] = sums;
  };
  const std::int64_t sets = d.tasks * d.groups, width = PointMlpWidth(d).width;
  add({parts.w3, dw.w3, parts.w3_parts, d.hidden * d.hidden, d.hidden * d.hidden, 1, 0});
  add({parts.w6, dw.w6, parts.w6_parts, d.features * d.hidden, d.features * d.hidden, 1, 0});
  add({dh, dw.b6, sets, d.features, d.features, 1, 0});
  const auto add_vector = [&](std::int64_t vector, float* out, std::int64_t out_stride) {
    add({parts.vectors + vector * width, out, kPointMlpPieces * parts.parts_per_tile, (kPointMlpVectors + d.in) * width,
         d.hidden, out_stride, parts.parts_per_tile});
  };
  float* const vectors[kPointMlpVectors] = {dw.gamma4, dw.beta4, dw.b3, dw.gamma1, dw.beta1, dw.b0};
  for (int v = 0; v < kPointMlpVectors; ++v) add_vector(v, vectors[v], 1);
  for (std::int64_t input = 0; input < d.in && dw.w0 != nullptr; ++input) {
    add_vector(kPointMlpVectors + input, dw.w0 + input, d.in);
  }
  if (list.count == 0) return;
  launch("point_mlp_add_parts", {.grid = {kBlocks, static_cast<unsigned>(list.count)}, .block = kColumnSumThreads},
         stream, point_mlp_add_parts_kernel, list, winners.rows);
}

void point_mlp_backward_symbols(const PointMlpRows& rows, const PointMlpWinners& winners, const float* dx, float* ds,
                                bool accumulate, Stream stream) {
  launch("point_mlp_backward_symbols",
         {.grid = {column_sum_blocks(rows.d.pairs), static_cast<unsigned>(rows.d.symbols)}, .block = kColumnSumThreads},
         stream, point_mlp_backward_symbols_kernel, rows, winners.row_of_pair, dx, ds, accumulate);
}

}  // namespace roap::cuda
