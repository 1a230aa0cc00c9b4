#include "kernels/common/launch.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/shared.h"
#include "kernels/common/tensor_map.h"
#include "tests/simt/demo/demo.h"

namespace roap::cuda {

namespace {

constexpr int kRows = 128, kColumns = 128, kDepth = 64;  // of a block's tile; a row of 64 bf16 is 128 bytes
constexpr int kCluster = 2, kStages = 3;
constexpr int kConsumers = 2;  // warpgroups, 64 rows each
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr std::uint32_t kBytesA = kRows * kDepth * 2, kBytesB = kColumns * kDepth * 2;
constexpr std::uint32_t kBytesOfStage = kBytesA + kBytesB;

/// A stage is full when both its copies have landed; it is empty when the consumers of both blocks have read it,
/// because its half of b comes from the other block.
struct Barriers {
  std::uint64_t full[kStages], empty[kStages];
};

/// One thread of each block keeps copying: its own rows of a, and its half of the columns of b for both blocks.
__device__ void produce(const CUtensorMap& map_a, const CUtensorMap& map_b, int row, int column, int steps,
                        Barriers& barriers) {
  const auto rank = static_cast<int>(ptx::cluster_rank());
  for (int step = 0; step < steps; ++step) {
    const int stage = step % kStages;
    const auto round = static_cast<std::uint32_t>(step / kStages);
    auto* tile = dynamic_shared<__nv_bfloat16>(stage * kBytesOfStage);
    ptx::mbarrier_wait(&barriers.empty[stage], (round + 1) % 2);  // the first round finds all stages empty
    ptx::mbarrier_arrive_expect_tx(&barriers.full[stage], kBytesOfStage);
    ptx::tensor_copy_2d(tile, &map_a, row, step * kDepth, &barriers.full[stage]);
    const int half = rank * (kColumns / kCluster);
    ptx::tensor_copy_2d_multicast(tile + kRows * kDepth + half * kDepth, &map_b, column + half, step * kDepth,
                                  &barriers.full[stage], (1 << kCluster) - 1);
  }
}

/// d [64][128] of one warpgroup.
__device__ void consume(float (&d)[kColumns / 2], int warpgroup, int steps, Barriers& barriers) {
  for (int step = 0; step < steps; ++step) {
    const int stage = step % kStages;
    auto* tile = dynamic_shared<__nv_bfloat16>(stage * kBytesOfStage);
    ptx::mbarrier_wait(&barriers.full[stage], static_cast<std::uint32_t>(step / kStages) % 2);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      const std::uint64_t a = ptx::wgmma_descriptor(tile + 64 * warpgroup * kDepth + k);
      const std::uint64_t b = ptx::wgmma_descriptor(tile + kRows * kDepth + k);
      ptx::wgmma_m64n128k16(d, a, b, step + k > 0);
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    if (threadIdx.x % 128 < kCluster) ptx::mbarrier_arrive_remote(&barriers.empty[stage], threadIdx.x % 128);
  }
  ptx::wgmma_keep(d);
}

__device__ void store(const float (&d)[kColumns / 2], int row, int column, int m, int n, float* c) {
  const int warp = static_cast<int>(threadIdx.x) / 32 % 4, lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    const int r = row + 16 * warp + lane / 4 + i % 4 / 2 * 8, s = column + i / 4 * 8 + lane % 4 * 2 + i % 2;
    if (r < m && s < n) c[static_cast<std::int64_t>(r) * n + s] = d[i];
  }
}

/// Computes  c[i, j] = sum_k a[i, k] b[j, k]
/// Shapes    a [m, k], b [n, k], c [m, n]; k a multiple of 8, m and n any
/// Mapping   a cluster of two blocks owns 256 x 128 elements of c, a consumer warpgroup 64 rows of them; one thread of
///           a third warpgroup copies
/// Memory    a n / 128 times, b m / 256 times, c once; three stages of k
/// Numerics  bf16 products, f32 sums
/// Limits    sm_90a
__global__ void __launch_bounds__(kThreads, 1)
    gemm_wgmma_kernel(int m, int n, int k, const __grid_constant__ CUtensorMap map_a,
                      const __grid_constant__ CUtensorMap map_b, float* c) {
  ROAP_SHARED(barriers, Barriers);
  const int row = static_cast<int>(blockIdx.x) * kRows, column = static_cast<int>(blockIdx.y) * kColumns;
  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  const int steps = (k + kDepth - 1) / kDepth;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(&barriers.full[i], 1);
      ptx::mbarrier_init(&barriers.empty[i], kCluster * kConsumers);
    }
    ptx::mbarrier_fence_init();
  }
  ptx::cluster_sync();
  if (warpgroup == kConsumers) {
    ptx::setmaxnreg_decrease<40>();
    if (threadIdx.x % 128 == 0) produce(map_a, map_b, row, column, steps, barriers);
  } else {
    ptx::setmaxnreg_increase<232>();
    float d[kColumns / 2];
    consume(d, warpgroup, steps, barriers);
    store(d, row + 64 * warpgroup, column, m, n, c);
  }
  ptx::cluster_sync();  // the other block may still write to this one's stages and barriers
}

}  // namespace

void demo_gemm_wgmma(int m, int n, int k, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c,
                     cudaStream_t stream) {
  const CUtensorMap map_a = tensor_map_2d(a, {.rows = m, .columns = k, .row_stride = k}, {kRows, kDepth});
  const CUtensorMap map_b = tensor_map_2d(b, {.rows = n, .columns = k, .row_stride = k}, {kColumns / kCluster, kDepth});
  launch("demo_gemm_wgmma",
         {.grid = {kCluster * tiles(m, kCluster * kRows), tiles(n, kColumns)},
          .block = kThreads,
          .shared_bytes = kStages * kBytesOfStage,
          .cluster = kCluster},
         stream, gemm_wgmma_kernel, m, n, k, map_a, map_b, c);
}

}  // namespace roap::cuda
