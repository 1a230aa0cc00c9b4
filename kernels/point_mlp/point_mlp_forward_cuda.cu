#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Which kernels run in the forward pass, and in what order.

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Computes  the maximum of the pieces' maxima
/// Shapes    value, pair [pieces, count] -> h, index [count]
/// Mapping   a thread owns a feature of a set
/// Memory    everything is read and written once, coalesced
/// Numerics  exact; the lowest pair wins a tie
__global__ void __launch_bounds__(kThreads)
    point_mlp_merge_maxima_kernel(std::int64_t count, PointMlpValues values, PointMlpMaxima maxima, float* h,
                                  std::int32_t* index) {
  if (are_shared(values)) return;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  Best best;
  for (int piece = 0; piece < maxima.pieces; ++piece) {
    best.merge(maxima.value[piece * count + i], maxima.pair[piece * count + i]);
  }
  best.finish();
  h[i] = best.value;
  index[i] = best.pair;
}

struct Forward {
  PointMlpRows rows;
  PointMlpF32Weights f32;
  PointMlpBf16Weights bf16;
  PointMlpMaxima maxima;
  bool wgmma;
};
Forward lay_out_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                        WorkspaceCutter& workspace) {
  Forward f{};
  const bool bf16 = options.math == ProductMath::bf16;
  f.rows = take_point_mlp_rows(d, in, workspace);
  f.rows.values = take_point_mlp_values(d, options, workspace);
  if (bf16) {
    f.bf16 = take_point_mlp_bf16_weights(d, false, workspace);
  } else {
    f.f32 = take_point_mlp_f32_weights(d, false, workspace);
  }
  f.wgmma = point_mlp_uses_wgmma(d, options);
  const int tile_rows = f.wgmma ? kPointMlpWgmmaTileRows : bf16 ? kPointMlpMmaTileRows : kPointMlpF32TileRows;
  f.maxima = take_point_mlp_maxima(d, tile_rows, workspace);
  return f;
}

}  // namespace

PointMlpMaxima take_point_mlp_maxima(const PointMlpDims& d, int tile_rows, WorkspaceCutter& workspace) {
  constexpr std::int64_t kBlocks = 528;  // enough to fill a device
  const std::int64_t sets = d.tasks * d.groups, blocks = sets * PointMlpWidth(d).feature_blocks;
  PointMlpMaxima maxima;
  maxima.pieces = static_cast<int>(std::clamp<std::int64_t>(kBlocks / blocks, 1, pieces_of(d.pairs, tile_rows)));
  if (maxima.pieces == 1) return maxima;
  maxima.value = workspace.take<float>(maxima.pieces * sets * d.features);
  maxima.pair = workspace.take<std::int32_t>(maxima.pieces * sets * d.features);
  return maxima;
}

void merge_point_mlp_maxima(const PointMlpRows& rows, const PointMlpMaxima& maxima, float* h, std::int32_t* index,
                            Stream stream) {
  const PointMlpDims& d = rows.d;
  const std::int64_t count = d.tasks * d.groups * d.features;
  launch("point_mlp_merge_maxima", {.grid = static_cast<unsigned>(pieces_of(count, kThreads)), .block = kThreads},
         stream, point_mlp_merge_maxima_kernel, count, rows.values, maxima, h, index);
}

std::size_t point_mlp_forward_workspace(const PointMlpDims& d, const PointMlpOptions& options) {
  if (!point_mlp_fused(d)) return point_mlp_layers_forward_workspace(d);
  WorkspaceCutter workspace(nullptr);
  lay_out_forward(d, options, {}, workspace);
  return workspace.bytes();
}

void point_mlp_forward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in, float* h,
                       std::int32_t* index, std::byte* workspace, Stream stream) {
  if (!point_mlp_fused(d)) return point_mlp_layers_forward(d, options, in, h, index, workspace, stream);
  WorkspaceCutter cutter(workspace);
  const Forward f = lay_out_forward(d, options, in, cutter);
  copy_point_mlp_columns(f.rows, in.columns, stream);
  const PointMlpMaxima out = f.maxima.pieces == 1 ? PointMlpMaxima{1, h, index} : f.maxima;
  const bool share = f.rows.values.count != nullptr;
  if (share) find_point_mlp_values(f.rows, stream);
  if (options.math == ProductMath::bf16) {
    pack_point_mlp_bf16(d, in.w, false, f.bf16, stream);
    if (share) point_mlp_values_mma(f.rows, f.bf16, stream);
    f.wgmma ? point_mlp_maxima_wgmma(f.rows, f.bf16, out, stream) : point_mlp_maxima_mma(f.rows, f.bf16, out, stream);
  } else {
    pack_point_mlp_f32(d, in.w, false, f.f32, stream);
    if (share) point_mlp_values_f32(f.rows, f.f32, stream);
    point_mlp_maxima_f32(f.rows, f.f32, out, stream);
  }
  if (out.pieces > 1) merge_point_mlp_maxima(f.rows, out, h, index, stream);
  if (share) look_up_point_mlp_values(f.rows, h, index, stream);
}

const std::int32_t* point_mlp_forward_rows(const PointMlpDims& d, const PointMlpOptions& options,
                                           std::byte* workspace) {
  if (!point_mlp_fused(d)) return nullptr;
  WorkspaceCutter cutter(workspace);
  return lay_out_forward(d, options, {}, cutter).rows.values.count;
}

}  // namespace roap::cuda
