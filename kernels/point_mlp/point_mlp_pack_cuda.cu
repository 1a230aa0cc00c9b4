#include <array>

#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_f32_tile.cuh"

// Weights in the order in which kernels read them, once per call.

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// out [blocks, depth, width] from element (input k, output n) = source[k * input_stride + n * output_stride]; blocks
/// divide the outputs. What lies outside of inputs and outputs becomes zero.
struct F32Matrix {
  const float* source;
  float* out;
  std::int64_t inputs, outputs, input_stride, output_stride;
  int blocks, depth;
};
struct F32Matrices {
  F32Matrix of[kPointMlpVectors + 5];
  int count = 0;
};
/// Part of an array of the host that travels with a launch.
struct ColumnList {
  static constexpr int kMost = 128;
  std::int32_t values[kMost];
  int count;
};

/// Computes  the padded and permuted weights of the f32 kernels
/// Shapes    F32Matrix
/// Mapping   blockIdx.y is the matrix, threads stride over its elements
/// Memory    each weight is read once, some of them across rows (L2), and written coalesced
/// Numerics  exact
template <int kWidth>
__global__ void __launch_bounds__(kThreads) point_mlp_pack_f32_kernel(F32Matrices matrices) {
  const F32Matrix m = matrices.of[blockIdx.y];
  const int first = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int step = static_cast<int>(gridDim.x) * kThreads;
  for (int i = first; i < m.blocks * m.depth * kWidth; i += step) {
    const int k = i / kWidth % m.depth;
    const int n = i / kWidth / m.depth * kWidth + F32Columns<kWidth>::column(i % kWidth);
    m.out[i] = k < m.inputs && n < m.outputs ? m.source[k * m.input_stride + n * m.output_stride] : 0.0f;
  }
}

/// Computes  a copy of columns
/// Shapes    columns [list.count]
/// Mapping   a thread copies one
/// Memory, Numerics, Limits  none
__global__ void __launch_bounds__(kThreads) point_mlp_copy_columns_kernel(ColumnList list, std::int32_t* columns) {
  if (static_cast<int>(threadIdx.x) < list.count) columns[threadIdx.x] = list.values[threadIdx.x];
}

F32Matrices list_matrices(const PointMlpDims& d, const PointMlpWeights<const float>& w,
                          const PointMlpF32Weights& packed, bool backward, const PointMlpWidth& sizes, int depth) {
  F32Matrices matrices;
  const auto add = [&](const F32Matrix& m) { matrices.of[matrices.count++] = m; };
  const std::int64_t h = d.hidden;
  const float* vectors[kPointMlpVectors] = {w.gamma4, w.beta4, w.b3, w.gamma1, w.beta1, w.b0};
  float* second = packed.matrices + depth * sizes.width;
  add({w.w3, packed.matrices, h, h, 1, h, 1, depth});
  if (backward) {
    add({w.w3, second, h, h, h, 1, 1, depth});
  } else {
    add({w.w6, second, h, d.features, 1, h, sizes.feature_blocks, depth});
  }
  add({w.w0, packed.w0, d.in, h, 1, d.in, 1, static_cast<int>(d.in)});
  add({w.b6, packed.b6, 1, d.features, 0, 1, sizes.feature_blocks, 1});
  for (int v = 0; v < kPointMlpVectors; ++v) add({vectors[v], packed.vectors + v * sizes.width, 1, h, 0, 1, 1, 1});
  return matrices;
}

}  // namespace

PointMlpWidth::PointMlpWidth(const PointMlpDims& d) {
  constexpr std::array kWidths{32, 64, 96, 128, 192, 256};
  const auto columns = std::max(d.hidden, std::min<std::int64_t>(d.features, kWidths.back()));
  width = *std::lower_bound(kWidths.begin(), kWidths.end(), columns);
  feature_blocks = static_cast<int>(pieces_of(d.features, width));
}

PointMlpRows take_point_mlp_rows(const PointMlpDims& d, const PointMlpInputs<float>& in, WorkspaceCutter& workspace) {
  return {d, in.y, in.s, workspace.take<std::int32_t>(d.groups * (d.in - 1))};
}

PointMlpF32Weights take_point_mlp_f32_weights(const PointMlpDims& d, bool backward, WorkspaceCutter& workspace) {
  const PointMlpWidth sizes(d);
  constexpr int kDepth = F32Tile<32>::kDepth;  // the same for all widths
  const std::int64_t width = sizes.width, blocks = sizes.feature_blocks, depth = round_up(d.hidden, kDepth);
  PointMlpF32Weights w{};
  w.vectors = workspace.take<float>(kPointMlpVectors * width);
  w.w0 = workspace.take<float>(d.in * width);
  w.b6 = workspace.take<float>(blocks * width);
  w.matrices = workspace.take<float>((1 + (backward ? 1 : blocks)) * depth * width);
  w.slices = static_cast<int>(depth / kDepth);
  return w;
}

void copy_point_mlp_columns(const PointMlpRows& rows, const std::int32_t* columns, Stream stream) {
  const std::int64_t count = rows.d.groups * (rows.d.in - 1);
  ColumnList list{};
  for (std::int64_t done = 0; done < count; done += list.count) {
    list.count = static_cast<int>(std::min<std::int64_t>(count - done, ColumnList::kMost));
    std::copy_n(columns + done, list.count, list.values);
    launch("point_mlp_copy_columns", {.grid = 1, .block = kThreads}, stream, point_mlp_copy_columns_kernel, list,
           rows.columns + done);
  }
}

void pack_point_mlp_f32(const PointMlpDims& d, const PointMlpWeights<const float>& w, bool backward,
                        const PointMlpF32Weights& packed, Stream stream) {
  constexpr unsigned kBlocks = 64;
  const PointMlpWidth sizes(d);
  with_point_mlp_width(sizes.width, [&]<int kWidth>() {
    const F32Matrices matrices = list_matrices(d, w, packed, backward, sizes, packed.slices * F32Tile<kWidth>::kDepth);
    launch("point_mlp_pack_f32", {.grid = {kBlocks, static_cast<unsigned>(matrices.count)}, .block = kThreads}, stream,
           point_mlp_pack_f32_kernel<kWidth>, matrices);
  });
}

}  // namespace roap::cuda
