#pragma once

#include "kernels/common/convert.cuh"
#include "kernels/common/ptx/barrier.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/opaque.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/stage_ring.cuh"
#include "kernels/point_mlp/point_mlp_row.cuh"

// The network on tiles of 64 rows, one for each of two warpgroups (the consumers), its products by wgmma (sm_90a).
// Activations never leave registers: the sums of one product lie as the next one wants its operand. Weights stream
// through a ring of stages, in slices of 64 inputs, matrix by matrix, again and again; a slice stays until both
// consumers have read it. The two blocks of a cluster fetch half of every slice for both.
//
// Consumers take turns: one multiplies while the other one does everything else. That takes a lead of one matrix, 4
// slices.
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
  static constexpr int kTilesOfCluster = kCluster * kConsumers;
  static constexpr int kDepth = kPointMlpSliceDepth, kSlices = kWidth / kDepth;
  static constexpr int kSlice = kWidth * kDepth, kSliceBytes = 2 * kSlice;
  static constexpr int kTermsOfStep = 4, kMostSteps = 2;  ///< of the first layer
  static constexpr int kMostInputs = kTermsOfStep * kMostSteps - 1;
  static constexpr int kPiece = kWidth * 8;  ///< of operand B of the first layer, [2 steps, kWidth, 8]
  static constexpr int kFirstBytes = 2 * kPiece * static_cast<int>(sizeof(__nv_bfloat16));  ///< of a step
  static constexpr int kInputPitch = kRows + 8;  ///< of u, by terms: lanes of a quad read from different banks

  /// Of slice i of the ring, where dynamic shared memory begins.
  static __device__ __nv_bfloat16* stage(int i) {
    return dynamic_shared<__nv_bfloat16>(static_cast<std::size_t>(i) * kSliceBytes);
  }

  using Sums = float[128];
  using Operand = std::uint32_t[kWidth / 16][4];

  static constexpr std::uint64_t kNextDepth = 2;  ///< 16 inputs, 32 bytes on, in a descriptor
};

/// A stage is full when both halves of its slice have landed, and empty when the consumers of both blocks have read it,
/// because half of it comes from the other block.
template <int kStages>
struct WgmmaRing {
  std::uint64_t full[kStages], empty[kStages];

  __device__ void init() {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], WgmmaTile::kTilesOfCluster);
    }
  }
};

/// One thread of each block copies its half of every slice to both blocks.
template <int kStages>
class WgmmaSliceCopier {
  using T = WgmmaTile;

 public:
  __device__ explicit WgmmaSliceCopier(WgmmaRing<kStages>& barriers) : barriers_(barriers) {}
  __device__ void copy(const __nv_bfloat16* slice) {
    const int half = static_cast<int>(ptx::cluster_rank()) * (T::kSlice / T::kCluster);
    std::uint64_t* full = &barriers_.full[ring_.stage];
    ptx::mbarrier_wait(&barriers_.empty[ring_.stage], ring_.parity ^ 1);  // the first round finds all stages empty
    ptx::mbarrier_arrive_expect_tx(full, T::kSliceBytes);
    ptx::bulk_copy_multicast(T::stage(ring_.stage) + half, slice + half, T::kSliceBytes / T::kCluster, full,
                             (1 << T::kCluster) - 1);
    ring_.advance(kStages);
  }

 private:
  WgmmaRing<kStages>& barriers_;
  StageRing ring_;
};

/// What a thread of a consumer is. Every step asks anew, because numbers that are kept from step to step would take
/// registers from the sums.
struct WgmmaThread {
  using T = WgmmaTile;
  static __device__ __forceinline__ int of_group() { return static_cast<int>(of_block() % T::kGroup); }
  static __device__ __forceinline__ int consumer() { return static_cast<int>(of_block() / T::kGroup); }
  static __device__ __forceinline__ int warp() { return static_cast<int>(of_block() % T::kGroup / kWarpSize); }
  static __device__ __forceinline__ int lane() { return static_cast<int>(of_block() % kWarpSize); }
  /// Of the two rows of its warpgroup, 8 apart, of which it has sums and activations.
  static __device__ __forceinline__ int first_row() {
    const std::uint32_t thread = of_block();
    return static_cast<int>(thread % T::kGroup / kWarpSize * 16 + thread % kWarpSize / 4);
  }

 private:
  static __device__ __forceinline__ std::uint32_t of_block() { return ptx::opaque(threadIdx.x); }
};

/// What the warpgroups of a block do: consume() the first two, with most of the registers; of the third one, one thread
/// does copy() and a warp for each consumer assist(consumer).
template <class Copy, class Assist, class Consume>
__device__ __forceinline__ void wgmma_roles(const Copy& copy, const Assist& assist, const Consume& consume) {
  using T = WgmmaTile;
  if (uniform_warp() / 4 < T::kConsumers) {
    ptx::setmaxnreg_increase<232>();
    consume();
    return;
  }
  ptx::setmaxnreg_decrease<40>();
  const int warp = uniform_warp() % 4;
  if (warp < T::kConsumers) assist(warp);
  if (warp == T::kConsumers) {
    if (lane_index() == 0) copy();
    __syncwarp();
  }
}

/// Something that the consumers do in turns, number 0 first, with two named barriers from kBarrier on.
template <std::uint32_t kBarrier>
struct WgmmaTurns {
  static constexpr std::uint32_t kThreads = WgmmaTile::kConsumers * WgmmaTile::kGroup;
  static __device__ __forceinline__ void start() {
    if (WgmmaThread::consumer() == 1) pass();
  }
  static __device__ __forceinline__ void wait() {
    ptx::named_barrier_sync(kBarrier + WgmmaThread::consumer(), kThreads);
  }
  static __device__ __forceinline__ void pass() {
    ptx::named_barrier_arrive(kBarrier + 1 - WgmmaThread::consumer(), kThreads);
  }
  /// Takes the turn that the other one passed in the end.
  static __device__ __forceinline__ void finish() {
    if (WgmmaThread::consumer() == 0) wait();
  }
};

/// One of the two warpgroups that multiply. A thread holds, of the sums z [64][256] of its warpgroup, rows 16 warp +
/// lane / 4 (in z[4 j], z[4 j + 1]) and 8 more (in the next two), columns 8 j + 2 (lane % 4) and the next one.
template <int kStages>
class WgmmaConsumer {
  using T = WgmmaTile;

 public:
  static constexpr std::uint32_t kTurn = 1, kSync = kTurn + T::kConsumers;  // named barriers
  static constexpr std::uint32_t kFreeBarrier = kSync + T::kConsumers;

  __device__ __forceinline__ explicit WgmmaConsumer(WgmmaRing<kStages>& barriers) : barriers_(barriers) {
    Turns::start();
  }

  /// Products with the next matrix, in this consumer's turn: product(k, b) issues that of inputs 16 k ... 16 k + 15,
  /// whose weights have descriptor b, into z. While those of a slice run, meanwhile(slice) does a quarter of something
  /// that may read operand A in registers, but not change it.
  template <class Product, class Meanwhile>
  __device__ __forceinline__ void multiply(T::Sums& z, const Product& product, const Meanwhile& meanwhile) {
    Turns::wait();
    if constexpr (kStages == T::kSlices) ring_.stage = 0;  // which it is, before every matrix
    int previous = 0;
#pragma unroll
    for (int slice = 0; slice < T::kSlices; ++slice) {
      ptx::mbarrier_wait(&barriers_.full[ring_.stage], ring_.parity);
      const auto stage = static_cast<int>(ptx::opaque(ring_.stage));  // not to keep descriptors that stay the same
      const std::uint64_t b = ptx::wgmma_descriptor(T::stage(stage));
      ptx::wgmma_fence();
#pragma unroll
      for (int i = 0; i < T::kDepth / 16; ++i) product(T::kDepth / 16 * slice + i, b + T::kNextDepth * i);
      ptx::wgmma_commit_group();
      meanwhile(slice);
      if (slice > 0) {
        ptx::wgmma_wait_group<1>();
        release(previous);
      }
      previous = ring_.stage;
      ring_.advance(kStages);
    }
    Turns::pass();
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_keep(z);
    release(previous);
  }

  static __device__ __forceinline__ void finish() { Turns::finish(); }
  /// Waits for all threads of this consumer.
  static __device__ __forceinline__ void sync() { ptx::named_barrier_sync(kSync + WgmmaThread::consumer(), T::kGroup); }

 private:
  using Turns = WgmmaTurns<kTurn>;

  /// A stage whose products are complete: to both blocks, one thread each.
  __device__ __forceinline__ void release(int stage) const {
    const int thread = WgmmaThread::of_group();
    if (thread < T::kCluster) ptx::mbarrier_arrive_remote(&barriers_.empty[stage], thread);
  }

  WgmmaRing<kStages>& barriers_;
  StageRing ring_;
};

/// x as the sum of two bf16 numbers: the upper one, which is x rounded, in the lower half of the register.
__device__ __forceinline__ std::uint32_t split_bf16(float x) {
  return pack_bf16(x, x - to_float(from_float<__nv_bfloat16>(x)));
}

/// u of a row, as split_bf16 gives it, to u[0], u[kInputPitch], ...
template <class Value>
__device__ __forceinline__ void split_inputs(int in, const float* gram, float* u, const Value& value) {
  using T = WgmmaTile;
  normalised_inputs(in, gram, u, T::kInputPitch, value);
#pragma unroll 1
  for (int j = 0; j <= in; ++j) {
    u[j * T::kInputPitch] = __uint_as_float(split_bf16(u[j * T::kInputPitch]));
  }
}

/// Writes operand B of the first layer, output n by each of kWidth threads, from the weights of `column`; wgmma reads
/// it after fence_proxy_async and a barrier.
template <int kSteps>
__device__ __forceinline__ void write_first_layer(int in, const float* first_weights, int n, int column,
                                                  __nv_bfloat16* first) {
  using T = WgmmaTile;
  const float beta = first_weights[(in + 1) * T::kWidth + column];
  const std::uint32_t upper = split_bf16(beta);
  const float rest = beta - unpack_bf16(upper).x - unpack_bf16(upper).y;
  const std::uint32_t thirds[T::kTermsOfStep] = {upper << 16, upper & 0xffff0000u, pack_bf16(0, rest), 0};
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    std::uint32_t pieces[2][T::kTermsOfStep];
#pragma unroll
    for (int t = 0; t < T::kTermsOfStep; ++t) {
      const int term = T::kTermsOfStep * step + t;
      pieces[0][t] = term <= in ? split_bf16(first_weights[term * T::kWidth + column]) : 0;
      pieces[1][t] = (pieces[0][t] & 0xffff) | (step == 0 ? thirds[t] : 0);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      *reinterpret_cast<uint4*>(first + (2 * step + i) * T::kPiece + n * 8) =
          make_uint4(pieces[i][0], pieces[i][1], pieces[i][2], pieces[i][3]);
    }
  }
}

/// Operand A of the first layer, for a thread's rows, the first of which `u` begins at. Opaque, so that the compiler
/// computes it before the fence of the product.
template <int kSteps>
__device__ __forceinline__ void first_operand(int in, const float* u, std::uint32_t (&a)[kSteps][4]) {
  using T = WgmmaTile;
  constexpr std::uint32_t kOne = 0x3f800000;  // bf16, in the upper half
  const int t = WgmmaThread::lane() % 4;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    const int term = step * T::kTermsOfStep + t;
    const std::uint32_t third = step == 0 && t < 3 ? kOne : 0;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t split = term <= in ? __float_as_uint(u[term * T::kInputPitch + 8 * half]) : 0;
      a[step][half] = ptx::opaque(__byte_perm(split, split, 0x1010));
      a[step][half + 2] = ptx::opaque(split >> 16 | third);
    }
  }
}

/// z = w0 x + b0, normalised, before the ReLU.
template <int kSteps>
__device__ __forceinline__ void first_layer(const std::uint32_t (&a)[kSteps][4], const __nv_bfloat16* first,
                                            WgmmaTile::Sums& z) {
  using T = WgmmaTile;
  const std::uint64_t b = ptx::wgmma_descriptor_of_pieces(first, T::kFirstBytes / 2);
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    ptx::wgmma_m64n256k16(z, a[step], b + (T::kFirstBytes >> 4) * step, step > 0);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(z);
}

/// rstd of the second LayerNorm for a thread's two rows, from centred sums.
__device__ __forceinline__ void second_rstd(const WgmmaTile::Sums& z, int hidden, float (&rstd)[2]) {
  float squares[4] = {};  // of even and odd columns of both rows
#pragma unroll
  for (int i = 0; i < 128; ++i) squares[i % 4] += z[i] * z[i];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float sum = group_sum<4>(squares[2 * row] + squares[2 * row + 1]);
    rstd[row] = rsqrtf(sum / static_cast<float>(hidden) + kPointMlpEpsilon);
  }
}

}  // namespace roap::cuda
