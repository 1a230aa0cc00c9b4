#include "kernels/common/convert.cuh"
#include "kernels/point_mlp/point_mlp_device.h"

// Which kernels run in the backward pass, and in what order.

namespace roap::cuda {

namespace {

struct BackwardF32 {
  PointMlpRows rows;
  PointMlpF32Weights weights;
  PointMlpWinners winners;
  PointMlpRowMatrices<float> matrices;
  PointMlpMatrixParts matrix_parts;
  PointMlpF32Parts parts;
};

BackwardF32 lay_out_f32(const PointMlpDims& d, const PointMlpInputs<float>& in, WorkspaceCutter& workspace) {
  BackwardF32 b{take_point_mlp_rows(d, in, workspace),
                take_point_mlp_f32_weights(d, true, workspace),
                take_point_mlp_winners(d, workspace),
                take_point_mlp_row_matrices<float>(d, workspace),
                take_point_mlp_matrix_parts(d, false, workspace),
                {}};
  const std::int64_t count = kPointMlpPieces * kPointMlpF32Parts * (kPointMlpVectors + d.in);
  b.parts.vectors = workspace.take<float>(count * PointMlpWidth(d).width);
  b.parts.dx = workspace.take<float>(point_mlp_most_winners(d) * (d.in - 1));
  return b;
}

struct BackwardBf16 {
  PointMlpRows rows;
  PointMlpBf16Weights weights;
  PointMlpWinners winners;
  PointMlpRowMatrices<Bf16> matrices;
  PointMlpMatrixParts matrix_parts;
  PointMlpBf16Parts parts;
  bool wgmma;
};

BackwardBf16 lay_out_bf16(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                          WorkspaceCutter& workspace) {
  const bool wgmma = point_mlp_uses_wgmma(d, options);
  BackwardBf16 b{take_point_mlp_rows(d, in, workspace),
                 take_point_mlp_bf16_weights(d, true, workspace),
                 take_point_mlp_winners(d, workspace),
                 take_point_mlp_row_matrices<Bf16>(d, workspace),
                 take_point_mlp_matrix_parts(d, wgmma, workspace),
                 {},
                 wgmma};
  b.weights.by_place = b.wgmma;
  const std::int64_t width = PointMlpWidth(d).width, columns = d.in + 1, scalars = columns * (columns + 1);
  const std::int64_t count = kPointMlpPieces * kPointMlpMmaParts * (kPointMlpBf16Vectors + columns);
  b.parts.vectors = workspace.take<float>(count * width);
  b.parts.scalars = workspace.take<float>(kPointMlpPieces * scalars);
  b.parts.dx = workspace.take<float>(point_mlp_most_winners(d) * (d.in - 1));
  b.parts.first = workspace.take<float>(columns * width + scalars);
  return b;
}

/// The sums that both have: of w3 and w6 from their parts, and of b6, whose gradient is that of h.
PointMlpSumList matrix_sums(const PointMlpDims& d, const float* dh, const PointMlpMatrixParts& parts,
                            const PointMlpWeights<float>& dw) {
  PointMlpSumList list;
  const std::int64_t w3 = d.hidden * d.hidden, w6 = d.features * d.hidden;
  list.add({parts.w3, dw.w3, parts.w3_parts, w3, w3, 1, 0});
  list.add({parts.w6, dw.w6, parts.w6_parts, w6, w6, 1, 0});
  list.add({dh, dw.b6, d.tasks * d.groups, d.features, d.features, 1, 0});
  return list;
}

void add_parts_f32(const PointMlpDims& d, const BackwardF32& b, const float* dh, const PointMlpWeights<float>& dw,
                   Stream stream) {
  PointMlpSumList list = matrix_sums(d, dh, b.matrix_parts, dw);
  list.tile_rows = kPointMlpF32TileRows;
  const std::int64_t width = PointMlpWidth(d).width, stride = (kPointMlpVectors + d.in) * width;
  const auto add = [&](std::int64_t vector, float* out, std::int64_t out_stride) {
    list.add({b.parts.vectors + vector * width, out, kPointMlpPieces * kPointMlpF32Parts, stride, d.hidden, out_stride,
              kPointMlpF32Parts});
  };
  float* const vectors[kPointMlpVectors] = {dw.gamma4, dw.beta4, dw.b3, dw.gamma1, dw.beta1, dw.b0};
  for (int v = 0; v < kPointMlpVectors; ++v) add(v, vectors[v], 1);
  for (std::int64_t input = 0; input < d.in && dw.w0 != nullptr; ++input) {
    add(kPointMlpVectors + input, dw.w0 + input, d.in);
  }
  add_point_mlp_parts(list, b.winners, stream);
}

void add_parts_bf16(const PointMlpDims& d, const BackwardBf16& b, const float* dh, const PointMlpWeights<float>& dw,
                    Stream stream) {
  PointMlpSumList list = matrix_sums(d, dh, b.matrix_parts, dw);
  list.tile_rows = kPointMlpMmaTileRows;
  const std::int64_t width = PointMlpWidth(d).width, columns = d.in + 1, scalars = columns * (columns + 1);
  const std::int64_t stride = (kPointMlpBf16Vectors + columns) * width;
  const int blocks = b.wgmma ? point_mlp_backward_wgmma_blocks(d) : kPointMlpPieces;
  const int vector_parts = b.wgmma ? 1 : kPointMlpMmaParts, scalar_parts = b.wgmma ? 2 : 1;  // of a block
  const auto add = [&](std::int64_t vector, float* out, std::int64_t count) {
    list.add(
        {b.parts.vectors + vector * width, out, blocks * vector_parts, stride, count, 1, b.wgmma ? 0 : vector_parts});
  };
  add(kBf16Gamma4, dw.gamma4, d.hidden);
  add(kBf16Beta4, dw.beta4, d.hidden);
  add(kBf16B3, dw.b3, d.hidden);
  add(kBf16Beta1, dw.beta1, d.hidden);
  add(kPointMlpBf16Vectors, b.parts.first, columns * width);
  list.add({b.parts.scalars, b.parts.first + columns * width, blocks * scalar_parts, scalars, scalars, 1,
            b.wgmma ? 0 : scalar_parts});
  add_point_mlp_parts(list, b.winners, stream);
  point_mlp_first_gradients(d, b.weights, b.parts, dw, stream);
}

}  // namespace

std::size_t point_mlp_backward_workspace(const PointMlpDims& d, const PointMlpOptions& options) {
  if (!point_mlp_fused(d)) return point_mlp_layers_backward_workspace(d);
  WorkspaceCutter workspace(nullptr);
  if (options.math == ProductMath::bf16) {
    lay_out_bf16(d, options, {}, workspace);
  } else {
    lay_out_f32(d, {}, workspace);
  }
  return workspace.bytes();
}

void point_mlp_backward(const PointMlpDims& d, const PointMlpOptions& options, const PointMlpInputs<float>& in,
                        const float* dh, const std::int32_t* index, float* ds, bool accumulate,
                        const PointMlpWeights<float>& dw, std::byte* workspace, Stream stream) {
  if (!point_mlp_fused(d)) {
    return point_mlp_layers_backward(d, options, in, dh, index, ds, accumulate, dw, workspace, stream);
  }
  WorkspaceCutter cutter(workspace);
  const auto rest = [&](const auto& b, const auto& multiply_w3, const auto& add_parts) {
    if (dw.w3 != nullptr) multiply_w3(d, b.winners, b.matrices, b.matrix_parts, stream);
    if (dw.w6 != nullptr) {
      point_mlp_backward_w6(d, dh, b.winners, b.matrices.xhat2, in.w.gamma4, in.w.beta4, b.matrix_parts, stream);
    }
    add_parts(d, b, dh, dw, stream);
    if (ds != nullptr && d.symbols > 0)
      point_mlp_backward_symbols(b.rows, b.winners, b.parts.dx, ds, accumulate, stream);
  };
  if (options.math == ProductMath::bf16) {
    const BackwardBf16 b = lay_out_bf16(d, options, in, cutter);
    copy_point_mlp_columns(b.rows, in.columns, stream);
    pack_point_mlp_bf16(d, in.w, true, b.weights, stream);
    find_point_mlp_winners(b.rows, dh, index, b.winners, stream);
    if (b.wgmma) {
      point_mlp_backward_rows_wgmma(d, b.weights, b.winners, b.matrices, b.parts, point_mlp_backward_wgmma_blocks(d),
                                    stream);
    } else {
      point_mlp_backward_rows_mma(d, b.weights, b.winners, b.matrices, b.parts, stream);
    }
    rest(b, b.wgmma ? point_mlp_backward_w3_wgmma : point_mlp_backward_w3_mma, add_parts_bf16);
  } else {
    const BackwardF32 b = lay_out_f32(d, in, cutter);
    copy_point_mlp_columns(b.rows, in.columns, stream);
    pack_point_mlp_f32(d, in.w, true, b.weights, stream);
    find_point_mlp_winners(b.rows, dh, index, b.winners, stream);
    point_mlp_backward_rows_f32(d, b.weights, in.w.w6, b.winners, b.matrices, b.parts, stream);
    rest(b, point_mlp_backward_w3_f32, add_parts_f32);
  }
}

}  // namespace roap::cuda
