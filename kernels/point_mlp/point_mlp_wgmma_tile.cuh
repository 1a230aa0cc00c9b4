#pragma once

#include "kernels/common/convert.cuh"
#include "kernels/common/ptx/barrier.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/stage_ring.cuh"
#include "kernels/point_mlp/point_mlp_row.cuh"

// The network on tiles of 64 rows, one for each of two warpgroups (the consumers), its products by wgmma (sm_90a).
// Activations never leave registers: the sums of one product lie as the next one wants its operand. Weights stream
// through a ring of stages, in slices of 64 inputs, those of layer 3 and then those of layer 6, again and again; a
// slice stays until both consumers have read it. The two blocks of a cluster fetch half of every slice for both.
//
// Consumers take turns: one multiplies while the other one normalises. That takes a lead of one matrix, 4 slices.
//
// The first layer and its LayerNorm as in point_mlp_mma_tile.cuh, a1 = relu(sum_j u_j w_j + beta1), as a product of
// depth 16 for every four terms. Both factors are split into two bf16 numbers, the larger one and the rest. A lane of a
// quad owns a term and its four places in the product,
//   operand A:  u upper   u upper   u lower   1
//   operand B:  w upper   w lower   w upper   a third of beta1 (in the first product)
// which leaves the relative error of a term near 2^-17.

namespace roap::cuda {

struct WgmmaTile {
  static constexpr int kWidth = 256, kRows = kPointMlpWgmmaTileRows, kCluster = 2, kConsumers = 2;
  static constexpr int kGroup = 128;  ///< threads of a warpgroup
  static constexpr int kThreads = kGroup * (kConsumers + 1);
  static constexpr int kSetsOfCluster = kCluster * kConsumers;
  static constexpr int kStages = 5, kDepth = kPointMlpSliceDepth, kSlices = kWidth / kDepth;
  static constexpr int kSlice = kWidth * kDepth, kSliceBytes = 2 * kSlice;
  static constexpr int kTermsOfStep = 4, kMostSteps = 2;  ///< of the first layer
  static constexpr int kMostInputs = kTermsOfStep * kMostSteps - 1;
  static constexpr int kInputPitch = kRows + 8;  ///< lanes of a quad read from different banks
  enum Vector { kB3, kGamma4, kBeta4, kB6, kVectors };

  static constexpr std::size_t kFirstAt = std::size_t{kStages} * kSliceBytes;
  static constexpr std::size_t kInputsAt = kFirstAt + kSliceBytes;
  static constexpr std::size_t kInputs = kTermsOfStep * kMostSteps * kInputPitch;  ///< of a consumer
  static constexpr std::size_t kVectorsAt = kInputsAt + kConsumers * kInputs * sizeof(float);
  static constexpr std::size_t kMaximaAt = kVectorsAt + kVectors * kWidth * sizeof(float);
  static constexpr std::size_t kSharedBytes = kMaximaAt + kConsumers * 4 * kWidth * sizeof(Best);

  static __device__ __nv_bfloat16* stage(int i) {
    return dynamic_shared<__nv_bfloat16>(static_cast<std::size_t>(i) * kSliceBytes);
  }
  /// Operand B of the first layer, [kWidth][kDepth], of which 16 places in a row are used for each step.
  static __device__ __nv_bfloat16* first() { return dynamic_shared<__nv_bfloat16>(kFirstAt); }
  /// u of a consumer's rows [terms][kInputPitch], in the end as split_bf16 gives them.
  static __device__ float* inputs(int consumer) { return dynamic_shared<float>(kInputsAt) + consumer * kInputs; }
  /// One of Vector.
  static __device__ float* vector(int i) { return dynamic_shared<float>(kVectorsAt) + i * kWidth; }
  /// Maxima of a consumer's warps [4][kWidth].
  static __device__ Best* maxima(int consumer) { return dynamic_shared<Best>(kMaximaAt) + consumer * 4 * kWidth; }

  using Sums = float[128];
  using Operand = std::uint32_t[kWidth / 16][4];
};

/// A stage is full when both halves of its slice have landed, and empty when the consumers of both blocks have read it,
/// because half of it comes from the other block. Inputs are full and empty for one consumer.
struct WgmmaBarriers {
  std::uint64_t full[WgmmaTile::kStages], empty[WgmmaTile::kStages];
  std::uint64_t inputs_full[WgmmaTile::kConsumers], inputs_empty[WgmmaTile::kConsumers];

  __device__ void init() {
    using T = WgmmaTile;
    for (int i = 0; i < T::kStages; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], T::kSetsOfCluster);
    }
    for (int i = 0; i < T::kConsumers; ++i) {
      ptx::mbarrier_init(&inputs_full[i], kWarpSize);
      ptx::mbarrier_init(&inputs_empty[i], T::kGroup / kWarpSize);
    }
    ptx::mbarrier_fence_init();
  }
};

/// x as the sum of two bf16 numbers: the upper one, which is x rounded, in the lower half of the register.
__device__ __forceinline__ std::uint32_t split_bf16(float x) {
  return pack_bf16(x, x - to_float(from_float<__nv_bfloat16>(x)));
}

/// Calls use(first set of this block, piece, first tile, end of tiles) for everything that its cluster computes. A
/// block's consumers own a set each; those behind the last one compute something that nobody reads.
template <class Use>
__device__ __forceinline__ void for_each_wgmma_item(const PointMlpDims& d, int pieces, const Use& use) {
  using T = WgmmaTile;
  const int sets = static_cast<int>(d.tasks * d.groups), pairs = static_cast<int>(d.pairs);
  const int items = (sets + T::kSetsOfCluster - 1) / T::kSetsOfCluster * pieces;
  const int rank = static_cast<int>(ptx::cluster_rank());
  for (int item = static_cast<int>(blockIdx.x) / T::kCluster; item < items;
       item += static_cast<int>(gridDim.x) / T::kCluster) {
    const int piece = item % pieces;
    use(item / pieces * T::kSetsOfCluster + rank * T::kConsumers, piece,
        point_mlp_first_tile(piece, pieces, pairs, T::kRows), point_mlp_first_tile(piece + 1, pieces, pairs, T::kRows));
  }
}

/// One thread of each block keeps copying its half of every slice to both blocks.
__device__ __forceinline__ void copy_slices(const PointMlpDims& d, const __nv_bfloat16* matrices, int feature_block,
                                            int pieces, WgmmaBarriers& barriers) {
  using T = WgmmaTile;
  constexpr int kHalf = T::kSlice / T::kCluster;
  const int half = static_cast<int>(ptx::cluster_rank()) * kHalf;
  StageRing ring;
  for_each_wgmma_item(d, pieces, [&](int, int, int tile, int end) {
    for (; tile < end; ++tile) {
      for (int slice = 0; slice < 2 * T::kSlices; ++slice) {
        const int skipped = slice < T::kSlices ? 0 : feature_block * T::kSlices;
        const __nv_bfloat16* from = matrices + static_cast<std::int64_t>(skipped + slice) * T::kSlice + half;
        std::uint64_t* full = &barriers.full[ring.stage];
        ptx::mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);  // the first round finds all stages empty
        ptx::mbarrier_arrive_expect_tx(full, T::kSliceBytes);
        ptx::bulk_copy_multicast(T::stage(ring.stage) + half, from, T::kSliceBytes / T::kCluster, full,
                                 (1 << T::kCluster) - 1);
        ring.advance(T::kStages);
      }
    }
  });
}

/// One warp prepares the inputs of one consumer's rows, a tile ahead of it.
__device__ __forceinline__ void prepare_inputs(const PointMlpRows& rows, const float* gram, int pieces, int consumer,
                                               WgmmaBarriers& barriers) {
  using T = WgmmaTile;
  const int in = static_cast<int>(rows.d.in), pairs = static_cast<int>(rows.d.pairs);
  const int last_set = static_cast<int>(rows.d.tasks * rows.d.groups) - 1;
  std::uint32_t parity = 1;
  for_each_wgmma_item(rows.d, pieces, [&](int first_set, int, int tile, int end) {
    const PointMlpSet elements(rows, min(first_set + consumer, last_set));
    for (; tile < end; ++tile) {
      ptx::mbarrier_wait(&barriers.inputs_empty[consumer], parity);
      parity ^= 1;
#pragma unroll 1
      for (int row = lane_index(); row < T::kRows; row += kWarpSize) {
        float* u = T::inputs(consumer) + row;
        const int pair = tile * T::kRows + row;
        normalised_inputs(in, gram, u, T::kInputPitch,
                          [&](int j) { return pair < pairs ? elements.input(pair, j) : 0.0f; });
#pragma unroll 1
        for (int j = 0; j < T::kTermsOfStep * T::kMostSteps; ++j) {
          float& of_term = u[j * T::kInputPitch];
          of_term = j <= in ? __uint_as_float(split_bf16(of_term)) : 0.0f;
        }
      }
      ptx::mbarrier_arrive(&barriers.inputs_full[consumer]);
    }
  });
}

/// Writes operand B of the first layer, a row by each of kWidth threads; wgmma reads it after fence_proxy_async and a
/// barrier.
template <int kSteps>
__device__ __forceinline__ void write_first_layer(int in, const float* first_weights) {
  using T = WgmmaTile;
  const int n = static_cast<int>(threadIdx.x);
  const float beta = first_weights[(in + 1) * T::kWidth + n];
  const std::uint32_t upper = split_bf16(beta);
  const float rest = beta - unpack_bf16(upper).x - unpack_bf16(upper).y;
  const std::uint32_t thirds[T::kTermsOfStep] = {upper << 16, upper & 0xffff0000u, pack_bf16(0, rest), 0};
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    std::uint32_t pieces[2][T::kTermsOfStep];
#pragma unroll
    for (int t = 0; t < T::kTermsOfStep; ++t) {
      const int term = T::kTermsOfStep * step + t;
      pieces[0][t] = term <= in ? split_bf16(first_weights[term * T::kWidth + n]) : 0;
      pieces[1][t] = (pieces[0][t] & 0xffff) | (step == 0 ? thirds[t] : 0);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      __nv_bfloat16* at = T::first() + n * T::kDepth + ((2 * step + i) ^ n % 8) * 8;
      *reinterpret_cast<uint4*>(at) = make_uint4(pieces[i][0], pieces[i][1], pieces[i][2], pieces[i][3]);
    }
  }
}

}  // namespace roap::cuda
