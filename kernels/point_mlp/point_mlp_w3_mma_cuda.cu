#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

namespace roap::cuda {

namespace {

/// A block's tile of dw3 and its slices of rows.
template <int kWidth>
struct W3Tile {
  static constexpr int kSize = kWidth <= 128 ? kWidth : kWidth / 2;
  static constexpr int kWarps = 8, kThreads = kWarps * kWarpSize;
  static constexpr int kOutputs = kSize / 2, kInputs = kSize / 4;  ///< of a warp, 2 by 4 warps
  static constexpr int kDepth = 32, kStages = 3;                   ///< rows
  static constexpr int kPitch = kSize + 8;                         ///< ldmatrix reads 8 rows from different banks
  static constexpr int kOperand = kDepth * kPitch;
  static constexpr std::size_t kSharedBytes = std::size_t{kStages} * 2 * kOperand * sizeof(__nv_bfloat16);
  using Sums = float[kOutputs / 16][kInputs / 8][4];

  static __device__ __nv_bfloat16* operand(int stage, int i) {
    return dynamic_shared<__nv_bfloat16>((2 * static_cast<std::size_t>(stage) + i) * kOperand * sizeof(__nv_bfloat16));
  }
};

/// Starts the copy of rows [row, row + kDepth) of a matrix [., kWidth], columns from `column` on; zeros from row `end`
/// on.
template <int kWidth>
__device__ void load_rows(const __nv_bfloat16* matrix, std::int64_t row, std::int64_t end, int column,
                          __nv_bfloat16* operand) {
  using Tile = W3Tile<kWidth>;
  constexpr int kPieces = Tile::kSize / 8;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kDepth * kPieces; i += Tile::kThreads) {
    const int r = i / kPieces, c = i % kPieces * 8;
    const bool inside = row + r < end;
    ptx::cp_async_16(operand + r * Tile::kPitch + c, inside ? matrix + (row + r) * kWidth + column + c : matrix,
                     inside ? 16 : 0);
  }
}

/// sums += dz2' a1 over the rows of one stage.
template <int kWidth>
__device__ void multiply_rows(int stage, typename W3Tile<kWidth>::Sums& sums) {
  using Tile = W3Tile<kWidth>;
  const int lane = lane_index(), output = warp_index() / 4 * Tile::kOutputs, input = warp_index() % 4 * Tile::kInputs;
#pragma unroll
  for (int k = 0; k < Tile::kDepth; k += 16) {
    // Both operands lie row by row, which is along k: ldmatrix exchanges rows and columns.
    std::uint32_t b[Tile::kInputs / 8][2];
#pragma unroll
    for (int j = 0; j < Tile::kInputs / 8; ++j) {
      ptx::ldmatrix_x2_trans(b[j], Tile::operand(stage, 1) + (k + lane % 16) * Tile::kPitch + input + 8 * j);
    }
#pragma unroll
    for (int m = 0; m < Tile::kOutputs / 16; ++m) {
      std::uint32_t a[4];
      ptx::ldmatrix_x4_trans(a, Tile::operand(stage, 0) + (k + lane / 16 * 8 + lane % 8) * Tile::kPitch + output +
                                    16 * m + lane / 8 % 2 * 8);
#pragma unroll
      for (int j = 0; j < Tile::kInputs / 8; ++j) ptx::mma_m16n8k16(sums[m][j], a, b[j][0], b[j][1]);
    }
  }
}

/// Computes  parts of dw3[o, i] = sum over rows of dz2[row, o] a1[row, i]
/// Shapes    dz2, a1 [rows, kWidth], dw3 [pieces, hidden, hidden]
/// Mapping   a block owns kSize x kSize weights and a piece of the rows: grid (columns, rows of w3, pieces)
/// Memory    dz2 and a1 are read kWidth / kSize times (L2); slices of 32 rows, two ahead
/// Numerics  bf16 products, f32 sums, rows ascending
template <int kWidth>
__global__ void __launch_bounds__(W3Tile<kWidth>::kThreads)
    point_mlp_backward_w3_mma_kernel(int hidden, const std::int32_t* rows, const __nv_bfloat16* dz2,
                                     const __nv_bfloat16* a1, float* dw3) {
  using Tile = W3Tile<kWidth>;
  const std::int64_t count = *rows, pieces = gridDim.z, piece = blockIdx.z;
  const std::int64_t first = piece * count / pieces, end = (piece + 1) * count / pieces;
  const int first_output = static_cast<int>(blockIdx.y) * Tile::kSize;
  const int first_input = static_cast<int>(blockIdx.x) * Tile::kSize;
  const int steps = static_cast<int>((end - first + Tile::kDepth - 1) / Tile::kDepth);
  const auto load = [&](int step) {
    if (step < steps) {
      const std::int64_t row = first + step * Tile::kDepth;
      load_rows<kWidth>(dz2, row, end, first_output, Tile::operand(step % Tile::kStages, 0));
      load_rows<kWidth>(a1, row, end, first_input, Tile::operand(step % Tile::kStages, 1));
    }
    ptx::cp_async_commit();
  };
  typename Tile::Sums sums = {};
  for (int step = 0; step < Tile::kStages - 1; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait_group<Tile::kStages - 2>();
    __syncthreads();  // everyone's part of this step has landed, and nobody reads the step before any more
    load(step + Tile::kStages - 1);
    multiply_rows<kWidth>(step % Tile::kStages, sums);
  }
  const int lane = lane_index();
  const int output = first_output + warp_index() / 4 * Tile::kOutputs + lane / 4;
  const int input = first_input + warp_index() % 4 * Tile::kInputs + lane % 4 * 2;
#pragma unroll
  for (int m = 0; m < Tile::kOutputs / 16; ++m) {
#pragma unroll
    for (int j = 0; j < Tile::kInputs / 8; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int o = output + 16 * m + i / 2 * 8, k = input + 8 * j + i % 2;
        if (o < hidden && k < hidden) dw3[(piece * hidden + o) * hidden + k] = sums[m][j][i];
      }
    }
  }
}

}  // namespace

void point_mlp_backward_w3_mma(const PointMlpDims& d, const PointMlpWinners& winners,
                               const PointMlpRowMatrices<Bf16>& matrices, const PointMlpMatrixParts& parts,
                               Stream stream) {
  with_point_mlp_width(PointMlpWidth(d).width, [&]<int kWidth>() {
    using Tile = W3Tile<kWidth>;
    constexpr unsigned kTiles = kWidth / Tile::kSize;
    launch("point_mlp_backward_w3_mma",
           {.grid = {kTiles, kTiles, static_cast<unsigned>(parts.w3_parts)},
            .block = Tile::kThreads,
            .shared_bytes = Tile::kSharedBytes},
           stream, point_mlp_backward_w3_mma_kernel<kWidth>, static_cast<int>(d.hidden), winners.rows, matrices.dz2,
           matrices.a1, parts.w3);
  });
}

}  // namespace roap::cuda
