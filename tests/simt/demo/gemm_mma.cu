#include "kernels/common/launch.h"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/shared.h"
#include "tests/simt/demo/demo.h"

namespace roap::cuda {

namespace {

constexpr int kRows = 64, kColumns = 64, kDepth = 32;  // of a block's tile
constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kStages = 2;
constexpr int kPitch = kDepth + 8;  // rows of 80 bytes: ldmatrix reads 8 of them from different banks

using Stage = __nv_bfloat16[kRows][kPitch];

/// Starts the copies of a tile [64][32] of x [rows, k] that begins at (row, depth); what lies outside becomes zero.
__device__ void load_tile(Stage& stage, const __nv_bfloat16* x, int rows, int k, int row, int depth) {
  constexpr int kPieces = kDepth / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
    const int r = i / kPieces, d = i % kPieces * 8;
    const bool inside = row + r < rows && depth + d < k;
    const __nv_bfloat16* source = inside ? x + static_cast<std::int64_t>(row + r) * k + depth + d : x;
    ptx::cp_async_16(&stage[r][d], source, inside ? 16 : 0);
  }
}

/// d [16][64] += a [16][32] b [64][32]' for one warp, whose rows of the tile begin at `row`.
__device__ void multiply_tile(float (&d)[kColumns / 8][4], const Stage& a, const Stage& b, int row) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    std::uint32_t fragment[4];
    ptx::ldmatrix_x4(fragment, &a[row + lane % 16][k + lane / 16 * 8]);
#pragma unroll
    for (int j = 0; j < kColumns / 8; j += 2) {
      // Matrices 0 and 1 are the two halves of k for columns 8 j .. 8 j + 7, matrices 2 and 3 those of the next eight.
      std::uint32_t pair[4];
      ptx::ldmatrix_x4(pair, &b[8 * j + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
      ptx::mma_m16n8k16(d[j], fragment, pair[0], pair[1]);
      ptx::mma_m16n8k16(d[j + 1], fragment, pair[2], pair[3]);
    }
  }
}

/// Computes  c[i, j] = sum_k a[i, k] b[j, k]
/// Shapes    a [m, k], b [n, k], c [m, n]; k a multiple of 8, m and n any
/// Mapping   a block owns 64 x 64 elements of c, a warp 16 rows of them
/// Memory    a n / 64 times, b m / 64 times, c once; two stages of k are in flight
/// Numerics  bf16 products, f32 sums in ascending k
__global__ void __launch_bounds__(kThreads)
    gemm_mma_kernel(int m, int n, int k, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c) {
  ROAP_SHARED_ALIGNED(stages_a, 16, __nv_bfloat16[kStages][kRows][kPitch]);
  ROAP_SHARED_ALIGNED(stages_b, 16, __nv_bfloat16[kStages][kColumns][kPitch]);
  const int row = static_cast<int>(blockIdx.y) * kRows, column = static_cast<int>(blockIdx.x) * kColumns;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int steps = (k + kDepth - 1) / kDepth;
  const auto load = [&](int step) {
    if (step < steps) {
      load_tile(stages_a[step % kStages], a, m, k, row, step * kDepth);
      load_tile(stages_b[step % kStages], b, n, k, column, step * kDepth);
    }
    ptx::cp_async_commit();
  };
  float d[kColumns / 8][4] = {};
  load(0);
  for (int step = 0; step < steps; ++step) {
    load(step + 1);
    ptx::cp_async_wait_group<1>();
    __syncthreads();  // all threads' copies of this step have landed
    multiply_tile(d, stages_a[step % kStages], stages_b[step % kStages], 16 * warp);
    __syncthreads();  // and nobody reads this stage when it is filled again
  }
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int r = row + 16 * warp + lane / 4 + i / 2 * 8, s = column + 8 * j + lane % 4 * 2 + i % 2;
      if (r < m && s < n) c[static_cast<std::int64_t>(r) * n + s] = d[j][i];
    }
  }
}

}  // namespace

void demo_gemm_mma(int m, int n, int k, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, cudaStream_t stream) {
  launch("demo_gemm_mma", {.grid = {tiles(n, kColumns), tiles(m, kRows)}, .block = kThreads}, stream, gemm_mma_kernel,
         m, n, k, a, b, c);
}

}  // namespace roap::cuda
