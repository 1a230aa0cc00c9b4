#pragma once

#include "kernels/common/launch.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/stage_ring.cuh"
#include "kernels/common/tensor_map.h"

// Sums over rows of outer products, which is how gradients of weights come about: d[o][i] = sum over rows of a[row][o]
// b[row][i], by wgmma (sm_90a), of one problem or of a few with the same sizes. Both operands lie row by row, so that
// boxes of the copy engine are MN-major operands as they land.

namespace roap::cuda {

inline constexpr int kOuterDepth = 64;     ///< rows of a step
inline constexpr int kOuterOutputs = 128;  ///< of a block, 64 for each of two consumers
inline constexpr int kOuterCluster = 2;

/// What is added to the sums at a time: kOuterDepth rows from `row` on, columns of a and b from these on. Rows outside
/// of the matrices count as zeros.
struct OuterStep {
  int row, a_column, b_column;
};

inline constexpr int kMostOuterProblems = 4;
/// a [rows, .] and b [rows, .] of each problem.
struct OuterOperands {
  CUtensorMap a[kMostOuterProblems], b[kMostOuterProblems];
};
/// Problems, and the parts that the steps of each are divided into.
struct OuterParts {
  int problems, parts;
};

/// Where the sums go: element (o, i) of a part lies at part part_stride + o o_stride + i; parts of one problem, then
/// those of the next one.
struct OuterResult {
  int outputs = 0, inputs = 0;
  float* parts = nullptr;
  std::int64_t part_stride = 0, o_stride = 0;
};

/// The square of a block and its stages in shared memory.
template <int kInputs_>
struct OuterTile {
  static constexpr int kInputs = kInputs_, kStages = kInputs == 256 ? 4 : 6;
  static constexpr int kGroup = 128, kConsumers = 2;                      ///< threads of a warpgroup; warpgroups
  static constexpr int kThreads = kGroup * kConsumers + kWarpSize;        ///< and one warp whose first lane copies
  static constexpr int kTile = kOuterDepth * 64, kTileBytes = 2 * kTile;  ///< 64 columns
  static constexpr int kTilesA = kOuterOutputs / 64, kTilesB = kInputs / 64;
  static constexpr int kStage = (kTilesA + kTilesB) * kTile;
  static constexpr std::size_t kSharedBytes = std::size_t{2} * kStages * kStage;
  static_assert(kInputs == 128 || kInputs == 256);
  using Sums = float[kInputs / 2];

  static __device__ __nv_bfloat16* a(int stage) { return dynamic_shared<__nv_bfloat16>() + stage * kStage; }
  static __device__ __nv_bfloat16* b(int stage) { return a(stage) + kTilesA * kTile; }
  static __device__ __forceinline__ void multiply(Sums& d, std::uint64_t a, std::uint64_t b) {
    if constexpr (kInputs == 128) ptx::wgmma_m64n128k16_mn(d, a, b, true);
    if constexpr (kInputs == 256) ptx::wgmma_m64n256k16_mn(d, a, b, true);
  }
};

/// A stage is full when a and both halves of b have landed, and empty when the consumers of both blocks have read it,
/// because half of b comes from the other block.
template <class Tile>
struct OuterBarriers {
  std::uint64_t full[Tile::kStages], empty[Tile::kStages];
  __device__ void init() {
    for (int i = 0; i < Tile::kStages; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], kOuterCluster * Tile::kConsumers);
    }
    ptx::mbarrier_fence_init();
  }
};

/// One thread copies all steps of its block: its columns of a, and half of the columns of b for both blocks.
template <class Tile, class Steps>
__device__ __forceinline__ void copy_outer_steps(const Steps& steps, int first_output, int first_input,
                                                 const CUtensorMap& a, const CUtensorMap& b,
                                                 OuterBarriers<Tile>& barriers) {
  constexpr int kHalf = Tile::kTilesB / kOuterCluster;
  const int first_tile = static_cast<int>(ptx::cluster_rank()) * kHalf;
  StageRing ring;
#pragma unroll 1
  for (int i = 0; i < steps.count(); ++i) {
    const OuterStep step = steps.at(i);
    std::uint64_t* full = &barriers.full[ring.stage];
    ptx::mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
    ptx::mbarrier_arrive_expect_tx(full, (Tile::kTilesA + Tile::kTilesB) * Tile::kTileBytes);
#pragma unroll
    for (int t = 0; t < Tile::kTilesA; ++t) {
      ptx::tensor_copy_2d(Tile::a(ring.stage) + t * Tile::kTile, &a, step.row, step.a_column + first_output + 64 * t,
                          full);
    }
#pragma unroll
    for (int t = first_tile; t < first_tile + kHalf; ++t) {
      ptx::tensor_copy_2d_multicast(Tile::b(ring.stage) + t * Tile::kTile, &b, step.row,
                                    step.b_column + first_input + 64 * t, full, (1 << kOuterCluster) - 1);
    }
    ring.advance(Tile::kStages);
  }
}

/// Adds up a consumer's 64 outputs. A step is left in flight while the next one's operands are waited for.
template <class Tile>
__device__ __forceinline__ void add_outer_steps(typename Tile::Sums& sums, int steps, int consumer,
                                                OuterBarriers<Tile>& barriers) {
  constexpr std::uint64_t kNextDepth = 128;  // 16 rows on, in a descriptor
  const auto release = [&](int stage) {
    const std::uint32_t thread = threadIdx.x % Tile::kGroup;
    if (thread < kOuterCluster) ptx::mbarrier_arrive_remote(&barriers.empty[stage], thread);
  };
  StageRing ring;
  int previous = -1;
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    ptx::mbarrier_wait(&barriers.full[ring.stage], ring.parity);
    const std::uint64_t a = ptx::wgmma_descriptor_mn(Tile::a(ring.stage) + consumer * Tile::kTile, Tile::kTileBytes);
    const std::uint64_t b = ptx::wgmma_descriptor_mn(Tile::b(ring.stage), Tile::kTileBytes);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kOuterDepth / 16; ++k) Tile::multiply(sums, a + kNextDepth * k, b + kNextDepth * k);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();
    if (previous >= 0) release(previous);
    previous = ring.stage;
    ring.advance(Tile::kStages);
  }
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(sums);
}

/// Writes a warpgroup's sums [64][2 kCount], the first of which is element (o, i), as far as the result has them.
/// `part` is the result's first element.
template <int kCount>
__device__ __forceinline__ void store_outer_sums(const float (&sums)[kCount], int o, int i, int outputs, int inputs,
                                                 float* part, std::int64_t o_stride) {
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % kWarpSize;
  const bool pairs = inputs % 2 == 0 && o_stride % 2 == 0;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int output = o + thread / kWarpSize * 16 + lane / 4 + 8 * half;
    if (output >= outputs) continue;
    float* row = part + output * o_stride;
#pragma unroll
    for (int j = 0; j < kCount / 4; ++j) {
      const int input = i + 8 * j + lane % 4 * 2;
      const float low = sums[4 * j + 2 * half], high = sums[4 * j + 2 * half + 1];
      if (pairs && input < inputs) *reinterpret_cast<float2*>(row + input) = make_float2(low, high);
      if (!pairs && input < inputs) row[input] = low;
      if (!pairs && input + 1 < inputs) row[input + 1] = high;
    }
  }
}

/// Computes  parts[part][o][i] = sum over the rows of the part's steps of a[row, o] b[row, i]
/// Shapes    a [rows, .], b [rows, .] bf16 in boxes of kOuterDepth x 64, `steps` says of each part which boxes
/// Mapping   a block owns 128 outputs by kInputs inputs of one part, each of two consumers half of the outputs. The two
///           blocks of a cluster have the same inputs. Grid (outputs, inputs, parts of all problems)
/// Memory    three stages and more are under way; a once per kInputs inputs, b once per 256 outputs: the blocks fetch
///           half of it for each other. kInputs = 256: 32 KB from L2 for 4.2 MFLOP, 128 FLOP/B
/// Numerics  bf16 products, f32 sums: steps, then rows, ascending
/// Limits    sm_90a; columns of a and b multiples of 8; what boxes bring beyond outputs and inputs is for sums that
///           nobody stores
template <int kInputs, class Steps>
__global__ void __launch_bounds__(OuterTile<kInputs>::kThreads, 1)
    outer_products_wgmma_kernel(Steps all_steps, int parts, const __grid_constant__ OuterOperands operands,
                                OuterResult out) {
  using Tile = OuterTile<kInputs>;
  ROAP_SHARED(barriers, OuterBarriers<Tile>);
  const int part = static_cast<int>(blockIdx.z), problem = part / parts, warp = uniform_warp();
  const int first_output = static_cast<int>(blockIdx.x) * kOuterOutputs;
  const int first_input = static_cast<int>(blockIdx.y) * kInputs;
  const auto steps = all_steps.of_part(part % parts, parts);
  if (threadIdx.x == 0) barriers.init();
  ptx::cluster_sync();  // before the first copy to the other block
  if (warp == Tile::kConsumers * 4) {
    if (threadIdx.x % kWarpSize == 0) {
      copy_outer_steps<Tile>(steps, first_output, first_input, operands.a[problem], operands.b[problem], barriers);
    }
    __syncwarp();
  } else {
    const int consumer = warp / 4;
    typename Tile::Sums sums = {};
    add_outer_steps<Tile>(sums, steps.count(), consumer, barriers);
    store_outer_sums(sums, first_output + 64 * consumer, first_input, out.outputs, out.inputs,
                     out.parts + part * out.part_stride, out.o_stride);
  }
  ptx::cluster_sync();  // the other block may still write to this one's stages and barriers
}

/// Columns of b of a block: for few of them the narrower one, which needs fewer products of zeros.
inline int outer_inputs(int inputs) { return inputs <= 128 ? 128 : 256; }
inline std::size_t outer_shared_bytes(int inputs) {
  return outer_inputs(inputs) == 128 ? OuterTile<128>::kSharedBytes : OuterTile<256>::kSharedBytes;
}
inline unsigned outer_blocks(int outputs) { return kOuterCluster * blocks_for(outputs, kOuterCluster * kOuterOutputs); }

/// Maps of a [rows, columns] for the kernel.
inline CUtensorMap outer_operand(const __nv_bfloat16* matrix, std::int64_t rows, std::int64_t columns) {
  return tensor_map_2d(matrix, {.rows = rows, .columns = columns, .row_stride = columns},
                       {.rows = kOuterDepth, .columns = 64});
}

/// Steps: all steps of a problem; of_part(part, parts) has count() and at(i) -> OuterStep.
template <class Steps>
void launch_outer_products(const char* name, const Steps& steps, const OuterParts& parts, const OuterOperands& operands,
                           const OuterResult& out, cudaStream_t stream) {
  const auto launch_inputs = [&]<int kInputs>() {
    using Tile = OuterTile<kInputs>;
    launch(name,
           {.grid = {outer_blocks(out.outputs), blocks_for(out.inputs, kInputs),
                     static_cast<unsigned>(parts.problems * parts.parts)},
            .block = Tile::kThreads,
            .shared_bytes = Tile::kSharedBytes,
            .cluster = kOuterCluster},
           stream, outer_products_wgmma_kernel<kInputs, Steps>, steps, parts.parts, operands, out);
  };
  if (outer_inputs(out.inputs) == 128) {
    launch_inputs.template operator()<128>();
  } else {
    launch_inputs.template operator()<256>();
  }
}

}  // namespace roap::cuda
