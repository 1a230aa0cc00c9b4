#include "kernels/common/launch.h"
#include "kernels/common/shared.h"
#include "kernels/soft_exec/soft_exec.h"
#include "kernels/soft_exec/soft_exec_lines.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kPairs = 4;                   ///< of a thread: a weight read from shared memory serves 4 multiply-adds
constexpr int kPairsPerWarp = 32 * kPairs;  ///< neighbours, so that few pairs leave whole warps idle
constexpr int kPairsPerBlock = kThreads * kPairs;

/// Computes  yhat of every task and pair (soft_exec.h)
/// Shapes    z [T, P], symbols [B, V], yhat [T, B]; V and L known at compile time
/// Mapping   a block owns 512 pairs of a task, a thread 4 pairs with all their values in registers
/// Memory    z once per block, into shared memory; symbols once per task (cache), yhat once. Bound by multiply-adds:
///           4 for each 4 bytes of shared memory, which is what both can do in the same time
/// Numerics  f32, choices ascending
/// Limits    the sizes of with_program; fewer than 2^31 blocks
template <class P>
__global__ void __launch_bounds__(kThreads, 3)
    soft_exec_forward_kernel(int pairs, int tiles, const float* z, const float* symbols, float* yhat) {
  ROAP_SHARED_ALIGNED(packed, 16, float[P::kPacked]);
  const std::int64_t task = blockIdx.x / static_cast<unsigned>(tiles);
  const int tile = static_cast<int>(blockIdx.x) % tiles;
  pack_program<P, kThreads>(z + task * P::kWeights, packed);
  __syncthreads();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int first = tile * kPairsPerBlock + warp * kPairsPerWarp;
  if (first >= pairs) return;
  float values[P::kValues][kPairs];
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    const int pair = first + 32 * p + lane;
#pragma unroll
    for (int j = 0; j < P::kSymbols; ++j) values[j][p] = pair < pairs ? __ldg(symbols + pair * P::kSymbols + j) : 0.0f;
  }
  run_program<P, kPairs>(packed, values, [](int, const float(&)[kPairs], const float(&)[kPairs]) {});
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    const int pair = first + 32 * p + lane;
    if (pair < pairs) yhat[task * pairs + pair] = values[P::kValues - 1][p];
  }
}

}  // namespace

bool soft_exec_unrolled(const StraightLineLayout& layout) {
  int lines = 0;
  return with_program(layout, [&]<class P>() { lines = P::kLines; });
}

std::size_t soft_exec_forward_workspace(const SoftExecDims& d) {
  return soft_exec_unrolled(d.layout) ? 0 : soft_exec_general_workspace(d, false);
}

void soft_exec_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace,
                       Stream stream) {
  const bool done = with_program(d.layout, [&]<class P>() {
    const unsigned tiles = blocks_for(d.pairs, kPairsPerBlock);
    launch("soft_exec_forward", {.grid = static_cast<unsigned>(d.tasks) * tiles, .block = kThreads}, stream,
           soft_exec_forward_kernel<P>, static_cast<int>(d.pairs), static_cast<int>(tiles), z, symbols, yhat);
  });
  if (!done) soft_exec_general_forward(d, z, symbols, yhat, workspace, stream);
}

}  // namespace roap::cuda
