#pragma once

#include "kernels/common/ptx/fence.h"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/point_mlp/point_mlp_wgmma_tile.cuh"

// Steps of the backward pass on a consumer's tile of 64 winning rows, see point_mlp_backward_wgmma_cuda.cu.
//
// Hidden units and features lie as point_mlp_place says: four products of 8 columns, a group, give a thread columns
// 32 group + 8 (lane % 4) and the next 7 of its two rows.

namespace roap::cuda {

/// Shared memory behind the ring, for networks with `in` inputs.
struct WgmmaRows {
  using T = WgmmaTile;
  static constexpr int kStages = 4;
  static constexpr int kGroups = T::kWidth / 32;        ///< of columns
  static constexpr int kBuffer = T::kRows * T::kWidth;  ///< elements of a consumer's buffer
  static constexpr std::size_t kBuffersAt = std::size_t{kStages} * T::kSliceBytes;
  static constexpr std::size_t kVectorsAt = kBuffersAt + T::kConsumers * kBuffer * sizeof(__nv_bfloat16);
  static constexpr std::size_t kControlAt = kVectorsAt + 2 * T::kWidth * sizeof(float), kControlBytes = 256;
  static constexpr std::size_t kTotalsAt = kControlAt + kControlBytes;

  int in;

  [[nodiscard]] __host__ __device__ constexpr int vectors() const { return kPointMlpBf16Vectors + in + 1; }
  /// Inputs of the next tile are prepared early where there is room for them.
  [[nodiscard]] __host__ __device__ constexpr int input_buffers() const { return in <= 4 ? 2 : 1; }
  /// Buffer of tile i, and how many of its tiles were before.
  [[nodiscard]] __device__ __forceinline__ int input_buffer(int i) const { return in <= 4 ? i % 2 : 0; }
  [[nodiscard]] __device__ __forceinline__ int input_round(int i) const { return in <= 4 ? i / 2 : i; }
  [[nodiscard]] __host__ __device__ constexpr std::size_t first_at() const {
    return kTotalsAt + vectors() * T::kWidth * sizeof(float);
  }
  [[nodiscard]] __host__ __device__ constexpr std::size_t inputs_at() const {
    return first_at() + (in / T::kTermsOfStep + 1) * T::kFirstBytes;
  }
  [[nodiscard]] __host__ __device__ constexpr std::size_t shared_bytes() const {
    return inputs_at() + std::size_t{2} * input_buffers() * (in + 1) * T::kInputPitch * sizeof(float);
  }

  /// Of a consumer, for one after the other: dz3 of a feature block, four tiles [kRows][kDepth] with the 128-byte
  /// swizzle; column sums of its warps; da1 by columns; and `products` at the end of a tile.
  static __device__ __forceinline__ __nv_bfloat16* buffer(int consumer) {
    return dynamic_shared<__nv_bfloat16>(kBuffersAt) + consumer * kBuffer;
  }
  /// Of a consumer, products of its rows with the columns of w.first [in + 1][kRows], then n of its rows.
  static __device__ __forceinline__ float* products(int consumer) { return reinterpret_cast<float*>(buffer(consumer)); }
  /// gamma4 and beta4.
  static __device__ __forceinline__ float* vector(int i) { return dynamic_shared<float>(kVectorsAt) + i * T::kWidth; }
  /// Sums over all rows of the block [vectors()][kWidth].
  static __device__ __forceinline__ float* totals() { return dynamic_shared<float>(kTotalsAt); }
  [[nodiscard]] __device__ __forceinline__ __nv_bfloat16* first() const {
    return dynamic_shared<__nv_bfloat16>(first_at());
  }
  /// u of a consumer's rows [in + 1][kInputPitch], as split_bf16 gives it.
  [[nodiscard]] __device__ __forceinline__ float* inputs(int consumer, int buffer) const {
    return dynamic_shared<float>(inputs_at()) + (input_buffers() * consumer + buffer) * (in + 1) * T::kInputPitch;
  }
};

static_assert(WgmmaRows{4}.shared_bytes() <= 227 * 1024 &&
              WgmmaRows{WgmmaTile::kMostInputs}.shared_bytes() <= 227 * 1024);

using RowsConsumer = WgmmaConsumer<WgmmaRows::kStages>;
/// Consumers add to the block's totals in turns, so that the order of sums is always the same.
using SecondSumsTurns = WgmmaTurns<RowsConsumer::kFreeBarrier>;
using FirstSumsTurns = WgmmaTurns<RowsConsumer::kFreeBarrier + WgmmaTile::kConsumers>;

/// Tiles of a consumer: one of every four of its cluster's, and as many as the other consumers have. Those behind the
/// last row give zeros.
struct RowsTiles {
  using T = WgmmaTile;
  int rows;             ///< of all tiles
  int stored;           ///< rows up to the end of the last tile, as far as there is memory for them
  int cluster, stride;  ///< first row of the cluster's first tiles, and rows to the next ones

  __device__ void init(int all_rows, int most) {
    constexpr int kRows = T::kTilesOfCluster * T::kRows;
    rows = all_rows;
    static_assert(T::kRows == kPointMlpPaddedRows);
    stored = min((rows + T::kRows - 1) / T::kRows * T::kRows, most);
    cluster = static_cast<int>(blockIdx.x) / T::kCluster * kRows;
    stride = static_cast<int>(gridDim.x) / T::kCluster * kRows;
  }
  [[nodiscard]] __device__ __forceinline__ bool has(int i) const { return cluster + i * stride < rows; }
  /// First row of tile i.
  [[nodiscard]] __device__ __forceinline__ int first(int i, int consumer) const {
    const int rank = static_cast<int>(ptx::cluster_rank());
    return cluster + i * stride + (rank * T::kConsumers + consumer) * T::kRows;
  }
};

/// Of a group, the thread's first column, and its words of row `half` in an operand: i counts pairs of columns.
__device__ __forceinline__ int rows_column(int group) { return 32 * group + WgmmaThread::lane() % 4 * 8; }
__device__ __forceinline__ constexpr int rows_word(int group, int i, int half) { return 8 * group + 2 * i + half; }
__device__ __forceinline__ std::uint32_t& word_of(WgmmaTile::Operand& a, int word) { return a[word / 4][word % 4]; }

/// Forgets what operand a is made of, so that the compiler does not unpack its words before they are needed: nothing
/// else has room in registers beside the operand and a product's sums.
__device__ __forceinline__ void forget(WgmmaTile::Operand& a) {
#pragma unroll
  for (int word = 0; word < 64; ++word) word_of(a, word) = ptx::opaque(word_of(a, word));
}

/// The thread's 8 values of a group, from an array by columns.
__device__ __forceinline__ void load_group(const float* values, int group, float (&x)[8]) {
  const auto* at = reinterpret_cast<const float4*>(values + rows_column(group));
  const float4 low = at[0], high = at[1];
  x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
  x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}

/// Adds values [kWidth] to every row of z.
__device__ __forceinline__ void add_to_rows(const float* values, WgmmaTile::Sums& z) {
#pragma unroll
  for (int group = 0; group < WgmmaRows::kGroups; ++group) {
    float x[8];
    load_group(values, group, x);
#pragma unroll
    for (int i = 0; i < 16; ++i) z[16 * group + i] += x[i / 4 * 2 + i % 2];
  }
}

/// Calls use(group) for the groups of one of four parts.
template <class Use>
__device__ __forceinline__ void for_part(int part, const Use& use) {
  constexpr int kGroups = WgmmaRows::kGroups / WgmmaTile::kSlices;
#pragma unroll
  for (int i = 0; i < kGroups; ++i) use(part * kGroups + i);
}

/// Copies a part of operand a to the rows of out [., kWidth] from `first` on, those below `count`.
__device__ __forceinline__ void store_part(int part, WgmmaTile::Operand& a, int first, int count, __nv_bfloat16* out) {
  using T = WgmmaTile;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + WgmmaThread::first_row() + 8 * half;
    if (row >= count) continue;
    __nv_bfloat16* of_row = out + static_cast<std::int64_t>(row) * T::kWidth + rows_column(0);
    for_part(part, [&](int group) {
      const auto word = [&](int i) { return word_of(a, rows_word(group, i, half)); };
      *reinterpret_cast<uint4*>(of_row + 32 * group) = make_uint4(word(0), word(1), word(2), word(3));
    });
  }
}

/// a = relu(z). Masks say where it is above zero: bits 15 - i and 31 - i of masks[j], of the two numbers of word
/// 16 j + i. (A number is not negative here, so that adding 0x7fff to all but zero sets the uppermost of its bits.)
__device__ __forceinline__ void first_activations(const WgmmaTile::Sums& z, WgmmaTile::Operand& a,
                                                  std::uint32_t (&masks)[4]) {
#pragma unroll
  for (int word = 0; word < 64; ++word) {
    const std::uint32_t pair = pack_bf16_relu(z[2 * word], z[2 * word + 1]);
    const std::uint32_t bits = (pair + 0x7fff7fffu) >> word % 16 & 0x80008000u >> word % 16;
    masks[word / 16] = word % 16 == 0 ? bits : masks[word / 16] | bits;
    word_of(a, word) = pair;
  }
}

/// a = z rstd.
__device__ __forceinline__ void normalise(const WgmmaTile::Sums& z, const float (&rstd)[2], WgmmaTile::Operand& a) {
#pragma unroll
  for (int word = 0; word < 64; ++word) {
    word_of(a, word) = pack_bf16(z[2 * word] * rstd[word % 2], z[2 * word + 1] * rstd[word % 2]);
  }
}

/// Sums of columns by each of a consumer's warps, of gamma4, beta4 and b3, in its buffer.
struct SumsOfWarps {
  using T = WgmmaTile;
  static constexpr int kPitch = 4 * T::kWidth + 4;  ///< lanes write two vectors at a time to different banks
  static constexpr int kCount = (kBf16B3 + 1) * kPitch;

  float* sums;  ///< [vector][4][kWidth], kPitch
  [[nodiscard]] __device__ __forceinline__ float* of_warp(int vector, int warp) const {
    return sums + vector * kPitch + warp * T::kWidth;
  }
};

/// Adds each of 8 values up over the lanes that have the same lane % 4: use(i, sum) is called by one of them.
template <class Use>
__device__ __forceinline__ void sum_rows(float (&values)[8], const Use& use) {
  merge_lanes<8, 16>(
      WgmmaThread::lane(), values, 0, true, [](float a, float b) { return a + b; }, use);
}

/// Back through the second ReLU: z is da2 and a is xhat2; z becomes gamma4 g, with g zero where relu's argument was not
/// positive. Leaves each warp's sums of g xhat2 and of g, and the means of gamma4 g and of gamma4 g xhat2 of the
/// thread's rows.
__device__ __forceinline__ void second_relu_backward(int hidden, WgmmaTile::Operand& a, const SumsOfWarps& sums,
                                                     WgmmaTile::Sums& z, float (&mean)[2], float (&mean_xhat)[2]) {
  const int warp = WgmmaThread::warp();
  mean[0] = mean[1] = mean_xhat[0] = mean_xhat[1] = 0;
#pragma unroll
  for (int four = 0; four < 2 * WgmmaRows::kGroups; ++four) {  // columns
    const int group = four / 2, column = rows_column(group) + four % 2 * 4;
    const float4 gammas = *reinterpret_cast<const float4*>(WgmmaRows::vector(0) + column);
    const float4 betas = *reinterpret_cast<const float4*>(WgmmaRows::vector(1) + column);
    const float gamma[4] = {gammas.x, gammas.y, gammas.z, gammas.w}, beta[4] = {betas.x, betas.y, betas.z, betas.w};
    float values[8];  // g xhat2 of four columns, then g
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int word = rows_word(group, four % 2 * 2 + i / 2, half);
        const float2 pair = unpack_bf16(word_of(a, word));
        const float xhat = i % 2 == 0 ? pair.x : pair.y;
        float& of_z = z[2 * word + i % 2];
        const float g = xhat * gamma[i] + beta[i] > 0 ? of_z : 0.0f;
        values[i] = half == 0 ? g * xhat : values[i] + g * xhat;
        values[4 + i] = half == 0 ? g : values[4 + i] + g;
        of_z = g * gamma[i];
        mean[half] += of_z;
        mean_xhat[half] += of_z * xhat;
      }
    }
    static_assert(kBf16Gamma4 == 0 && kBf16Beta4 == 1);
    sum_rows(values, [&](int i, float sum) { sums.of_warp(i / 4, warp)[column + i % 4] = sum; });
  }
  const float scale = 1.0f / static_cast<float>(hidden);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    mean[half] = group_sum<4>(mean[half]) * scale;
    mean_xhat[half] = group_sum<4>(mean_xhat[half]) * scale;
  }
}

/// Back through the second LayerNorm: a is xhat2 on entry and dz2 on return; z is gamma4 g.
__device__ __forceinline__ void second_norm_backward(const WgmmaTile::Sums& z, const float (&rstd)[2],
                                                     const float (&mean)[2], const float (&mean_xhat)[2],
                                                     WgmmaTile::Operand& a) {
  const float shift[2] = {rstd[0] * mean[0], rstd[1] * mean[1]};
  const float slope[2] = {rstd[0] * mean_xhat[0], rstd[1] * mean_xhat[1]};
#pragma unroll
  for (int word = 0; word < 64; ++word) {
    const int half = word % 2;
    const float2 xhat = unpack_bf16(word_of(a, word));
    word_of(a, word) = pack_bf16(z[2 * word] * rstd[half] - shift[half] - xhat.x * slope[half],
                                 z[2 * word + 1] * rstd[half] - shift[half] - xhat.y * slope[half]);
  }
}

/// Leaves each warp's sums of a part of dz2.
__device__ __forceinline__ void sum_part(int part, WgmmaTile::Operand& dz2, const SumsOfWarps& sums) {
  float* of_warp = sums.of_warp(kBf16B3, WgmmaThread::warp());
  for_part(part, [&](int group) {
    float values[8];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 upper = unpack_bf16(ptx::opaque(word_of(dz2, rows_word(group, i, 0))));
      const float2 lower = unpack_bf16(ptx::opaque(word_of(dz2, rows_word(group, i, 1))));
      values[2 * i] = upper.x + lower.x;
      values[2 * i + 1] = upper.y + lower.y;
    }
    sum_rows(values, [&](int i, float sum) { of_warp[rows_column(group) + i] = sum; });
  });
}

/// Adds what the warps left to the block's totals, consumers in turns. After their sync().
__device__ __forceinline__ void add_second_sums(const SumsOfWarps& of_warps) {
  using T = WgmmaTile;
  const int column = 2 * WgmmaThread::of_group();
  float2 sums[kBf16B3 + 1];
#pragma unroll
  for (int v = 0; v <= kBf16B3; ++v) {
    sums[v] = make_float2(0, 0);
#pragma unroll
    for (int warp = 0; warp < 4; ++warp) {
      const float2 part = *reinterpret_cast<const float2*>(of_warps.of_warp(v, warp) + column);
      sums[v].x += part.x;
      sums[v].y += part.y;
    }
  }
  SecondSumsTurns::wait();
#pragma unroll
  for (int v = 0; v <= kBf16B3; ++v) {
    auto& total = *reinterpret_cast<float2*>(WgmmaRows::totals() + v * T::kWidth + column);
    total.x += sums[v].x;
    total.y += sums[v].y;
  }
  SecondSumsTurns::pass();
}

/// a = da1 where the first ReLU let it pass: g of the first layer, rounded to bf16.
__device__ __forceinline__ void first_relu_backward(const WgmmaTile::Sums& da1, const std::uint32_t (&masks)[4],
                                                    WgmmaTile::Operand& a) {
#pragma unroll
  for (int word = 0; word < 64; ++word) {
    const std::uint32_t mask = masks[word / 16] << word % 16;
    word_of(a, word) =
        pack_bf16((mask & 0x8000) != 0 ? da1[2 * word] : 0.0f, (mask & 0x80000000u) != 0 ? da1[2 * word + 1] : 0.0f);
  }
}

/// Products of the thread's rows of g with the columns of w.first, which are the upper and lower parts in operand B of
/// the first layer: out[step][half] is that of row `half` with column 4 step + lane % 4.
template <int kSteps>
__device__ __forceinline__ void first_row_products(const WgmmaTile::Operand& g, const __nv_bfloat16* first,
                                                   float (&out)[kSteps][2]) {
  using T = WgmmaTile;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    float d[2][4] = {};
#pragma unroll
    for (int k = 0; k < T::kWidth / 16; k += 2) {
      std::uint32_t b[4];
      ptx::ldmatrix_x4_trans(b, first + 2 * step * T::kPiece + (16 * k + WgmmaThread::lane()) * 8);
      ptx::mma_m16n8k16(d[0], g[k], b[0], b[1]);
      ptx::mma_m16n8k16(d[1], g[k + 1], b[2], b[3]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      out[step][half] = d[0][2 * half] + d[0][2 * half + 1] + (d[1][2 * half] + d[1][2 * half + 1]);
    }
  }
}

/// Writes g by columns, [kWidth][kRows] with the 128-byte swizzle; wgmma reads it after the consumer's sync().
__device__ __forceinline__ void transpose_rows(const WgmmaTile::Operand& g, __nv_bfloat16* buffer) {
  using T = WgmmaTile;
  const int lane = WgmmaThread::lane(), column = lane / 16 * 8 + lane % 8;
  const int piece = 2 * WgmmaThread::warp() + lane / 8 % 2;  // of 8 rows
  __nv_bfloat16* at = buffer + column * T::kRows + (piece ^ lane % 8) * 8;
#pragma unroll
  for (int k = 0; k < T::kWidth / 16; ++k) ptx::stmatrix_x4_trans(at + 16 * k * T::kRows, g[k]);
  ptx::fence_proxy_async();
}

/// Sums over rows of u_j g, in two warps, and of g, in the other two: z has in the thread's first row the sums with
/// the upper part of u of its term, lane / 4, and in the second row those with the lower part; for warps 2 and 3 u
/// is 1.
__device__ __forceinline__ void sum_over_rows(int in, const float* u, const __nv_bfloat16* buffer, WgmmaTile::Sums& z) {
  using T = WgmmaTile;
  const int term = WgmmaThread::lane() / 4;
  const bool of_terms = WgmmaThread::warp() < 2;
  std::uint32_t a[T::kRows / 16][4];
#pragma unroll
  for (int k = 0; k < T::kRows / 16; ++k) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint2 splits = make_uint2(0, 0);
      const auto* at = u + term * T::kInputPitch + 16 * k + 8 * half + WgmmaThread::lane() % 4 * 2;
      if (of_terms && term <= in) splits = *reinterpret_cast<const uint2*>(at);
      if (!of_terms && term == 0) splits = make_uint2(0x3f80, 0x3f80);  // 1
      a[k][2 * half] = ptx::opaque(__byte_perm(splits.x, splits.y, 0x5410));
      a[k][2 * half + 1] = ptx::opaque(__byte_perm(splits.x, splits.y, 0x7632));
    }
  }
  const std::uint64_t b = ptx::wgmma_descriptor(buffer);
  ptx::wgmma_fence();
#pragma unroll
  for (int k = 0; k < T::kRows / 16; ++k) ptx::wgmma_m64n256k16(z, a[k], b + T::kNextDepth * k, k > 0);
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(z);
}

/// Adds these sums to the block's totals, half of the columns by each of two warps, consumers in turns.
__device__ __forceinline__ void add_first_sums(int in, const WgmmaTile::Sums& z) {
  using T = WgmmaTile;
  const int warp = WgmmaThread::warp(), term = WgmmaThread::lane() / 4;
  const bool of_terms = warp < 2;
  float* total = WgmmaRows::totals() + (of_terms ? kPointMlpBf16Vectors + term : kBf16Beta1) * T::kWidth;
  FirstSumsTurns::wait();
  if (of_terms ? term <= in : term == 0) {
#pragma unroll
    for (int group = 0; group < WgmmaRows::kGroups / 2; ++group) {
      float sums[8];
      const int column = rows_column(group + warp % 2 * (WgmmaRows::kGroups / 2));
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int at = 16 * group + i / 2 * 4 + i % 2, other = at + 64;
        sums[i] = warp % 2 == 0 ? z[at] + z[at + 2] : z[other] + z[other + 2];
      }
      auto* place = reinterpret_cast<float4*>(total + column);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float4 before = place[i];
        place[i] = make_float4(before.x + sums[4 * i], before.y + sums[4 * i + 1], before.z + sums[4 * i + 2],
                               before.w + sums[4 * i + 3]);
      }
    }
  }
  FirstSumsTurns::pass();
}

}  // namespace roap::cuda
