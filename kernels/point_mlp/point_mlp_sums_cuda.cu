#include "kernels/common/column_sum.cuh"
#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Sums over winning rows and over pieces: everything of the backward pass that is not a product of matrices.

namespace roap::cuda {

namespace {

constexpr int kOutputThreads = 128;

__device__ __forceinline__ float2 load_pair(const float* x) { return *reinterpret_cast<const float2*>(x); }
__device__ __forceinline__ float2 load_pair(const __nv_bfloat16* x) {
  return unpack_bf16(*reinterpret_cast<const std::uint32_t*>(x));
}

/// Computes  parts of dw6[f, k] = sum over sets of dh[set, f] a2[row that won (set, f), k],
///           a2 = relu(gamma4 xhat2 + beta4)
/// Shapes    dh, row_of_win [sets, features], xhat2 [rows, width], dw6 [pieces, features, hidden]
/// Mapping   a block owns a feature and a piece of the sets, a thread two columns
/// Memory    a row of xhat2 for every (set, f), from L2, which bounds it: 2 * width bytes each in bf16
/// Numerics  f32, sets ascending
/// Limits    hidden <= 2 * kOutputThreads
template <class T>
__global__ void __launch_bounds__(kOutputThreads)
    point_mlp_backward_w6_kernel(PointMlpDims d, int width, const float* dh, const std::int32_t* row_of_win,
                                 const T* xhat2, const float* gamma4, const float* beta4, float* dw6) {
  const std::int64_t sets = d.tasks * d.groups, pieces = gridDim.y, piece = blockIdx.y, feature = blockIdx.x;
  const int column = 2 * static_cast<int>(threadIdx.x), hidden = static_cast<int>(d.hidden);
  if (column >= hidden) return;
  const bool both = column + 1 < hidden;
  const float2 gamma = make_float2(gamma4[column], both ? gamma4[column + 1] : 0.0f);
  const float2 beta = make_float2(beta4[column], both ? beta4[column + 1] : 0.0f);
  float2 sum = make_float2(0, 0);
#pragma unroll 4
  for (std::int64_t set = piece * sets / pieces; set < (piece + 1) * sets / pieces; ++set) {
    const std::int64_t win = set * d.features + feature;
    const float2 x = load_pair(xhat2 + static_cast<std::int64_t>(row_of_win[win]) * width + column);
    sum.x += dh[win] * relu(x.x * gamma.x + beta.x);
    sum.y += dh[win] * relu(x.y * gamma.y + beta.y);
  }
  float* out = dw6 + (piece * d.features + feature) * hidden + column;
  out[0] = sum.x;
  if (both) out[1] = sum.y;
}

/// Computes  the gradients of all weights, from their parts
/// Shapes    PointMlpSum
/// Mapping   blockIdx.y is the weight; blocks stride over groups of 32 columns
/// Memory    every part is read once, coalesced
/// Numerics  f32, in the fixed order of column_sum
__global__ void __launch_bounds__(kColumnSumThreads)
    point_mlp_add_parts_kernel(PointMlpSumList list, const std::int32_t* rows) {
  const PointMlpSum sums = list.of[blockIdx.y];
  std::int64_t parts = sums.parts;
  if (sums.parts_of_tile > 0) {
    const int tiles = (*rows + list.tile_rows - 1) / list.tile_rows;
    parts = min(parts, static_cast<std::int64_t>(tiles) * sums.parts_of_tile);
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

PointMlpMatrixParts take_point_mlp_matrix_parts(const PointMlpDims& d, bool warpgroups, WorkspaceCutter& workspace) {
  constexpr std::int64_t kBlocks = 512;  // enough to fill a device
  constexpr std::int64_t kWeightsOfBlock = 64 * 64, kMostParts = 32;
  constexpr int kClusters = 66;  // of an H100, which own all weights of a part
  const auto parts_for = [&](std::int64_t blocks, std::int64_t most) {
    return static_cast<int>(std::clamp<std::int64_t>(kBlocks / blocks, 1, most));
  };
  PointMlpMatrixParts parts{};
  parts.w3_parts = warpgroups ? kClusters : parts_for(pieces_of(d.hidden * d.hidden, kWeightsOfBlock), kMostParts);
  parts.w6_parts = parts_for(pieces_of(d.features, 4), std::min(kMostParts, d.tasks * d.groups));
  parts.w3 = workspace.take<float>(parts.w3_parts * d.hidden * d.hidden);
  parts.w6 = workspace.take<float>(parts.w6_parts * d.features * d.hidden);
  return parts;
}

template <class T>
void point_mlp_backward_w6(const PointMlpDims& d, const float* dh, const PointMlpWinners& winners, const T* xhat2,
                           const float* gamma4, const float* beta4, const PointMlpMatrixParts& parts, Stream stream) {
  launch("point_mlp_backward_w6",
         {.grid = {static_cast<unsigned>(d.features), static_cast<unsigned>(parts.w6_parts)}, .block = kOutputThreads},
         stream, point_mlp_backward_w6_kernel<T>, d, PointMlpWidth(d).width, dh, winners.row_of_win, xhat2, gamma4,
         beta4, parts.w6);
}
template void point_mlp_backward_w6<float>(const PointMlpDims&, const float*, const PointMlpWinners&, const float*,
                                           const float*, const float*, const PointMlpMatrixParts&, Stream);
template void point_mlp_backward_w6<Bf16>(const PointMlpDims&, const float*, const PointMlpWinners&, const Bf16*,
                                          const float*, const float*, const PointMlpMatrixParts&, Stream);

void add_point_mlp_parts(const PointMlpSumList& list, const PointMlpWinners& winners, Stream stream) {
  constexpr unsigned kBlocks = 256;
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
