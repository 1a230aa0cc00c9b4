#pragma once

#include "kernels/point_mlp/point_mlp_mma_tile.cuh"

// Steps of the backward pass on a tile of 128 winning rows, see point_mlp_backward_mma_cuda.cu.

namespace roap::cuda {

/// Shared memory of the backward pass behind that of MmaTile.
template <int kWidth>
struct MmaBackward {
  using Tile = MmaTile<kWidth>;
  static constexpr int kWords = (kWidth + 63) / 64 * 2;  ///< of 32 columns: even ones and odd ones of 64 in turn
  static constexpr std::size_t kMasksAt = Tile::kSharedBytes;
  static constexpr std::size_t kMeansAt = kMasksAt + std::size_t{Tile::kRows} * kWords * sizeof(std::uint32_t);
  static constexpr std::size_t kProductBytes = 2 * (kPointMlpMostInputs + 2) * Tile::kRows * sizeof(float);
  static constexpr bool kFits = kProductBytes <= std::size_t{Tile::kRows} * Tile::kPitch * sizeof(__nv_bfloat16);
  static constexpr std::size_t kProductsAt = kFits ? Tile::kActivationsAt : kMeansAt + 4 * Tile::kRows * sizeof(float);
  static constexpr std::size_t kSharedBytes = kMeansAt + 4 * Tile::kRows * sizeof(float) + (kFits ? 0 : kProductBytes);

  /// Which activations of the first layer are above zero: [kRows][kWords].
  static __device__ std::uint32_t* masks() { return dynamic_shared<std::uint32_t>(kMasksAt); }
  /// Two sums of each row by half of the columns [2][2][kRows]; in the end the two means m and n [2][kRows].
  static __device__ float* means() { return dynamic_shared<float>(kMeansAt); }
  /// Products of the rows with in + 2 vectors, by half of the columns [2][in + 2][kRows]; in place of activations, if
  /// they are large enough.
  static __device__ float* products() { return dynamic_shared<float>(kProductsAt); }
};

/// Where a warp adds up columns over all of its rows: nobody else touches the places. They stay in L2.
template <int kWidth>
struct ColumnSums {
  float* part;  ///< [kPointMlpBf16Vectors + in + 1][kWidth]
  bool first;   ///< nothing there yet

  /// value(m, h, j, c): the element of row(m, h) and column(j) + c.
  template <class Value>
  __device__ __forceinline__ void add(int vector, const Value& value) const {
    merge_rows<kWidth>(
        [&](int j, int c) { return (value(0, 0, j, c) + value(0, 1, j, c)) + (value(1, 0, j, c) + value(1, 1, j, c)); },
        [](float a, float b) { return a + b; },
        [&](int column, float sum) {
          float& total = part[vector * kWidth + column];
          total = first ? sum : total + sum;
        });
  }
};

/// Calls use(m, h, j) for the thread's pairs of columns.
template <int kWidth, class Use>
__device__ __forceinline__ void for_pairs(const Use& use) {
#pragma unroll
  for (int j = 0; j < MmaTile<kWidth>::kTiles; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) use(i / 2, i % 2, j);
  }
}

/// Copies the tile's activations to out [., kWidth], rows below `count`.
template <int kWidth>
__device__ __forceinline__ void write_activations(int first, int count, __nv_bfloat16* out) {
  using Tile = MmaTile<kWidth>;
  constexpr int kPieces = kWidth / 8;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kPieces; i += Tile::kThreads) {
    const int row = i / kPieces, column = i % kPieces * 8;
    if (first + row >= count) return;
    store_vector(out + static_cast<std::int64_t>(first + row) * kWidth + column,
                 load_vector(Tile::activations() + row * Tile::kPitch + column));
  }
}

/// Activations = dz3 of feature block `block`: zeros and the gradients of what the rows won. Between block barriers.
template <int kWidth>
__device__ __forceinline__ void scatter_wins(const PointMlpWinners& winners, int first, int count, int block) {
  using Tile = MmaTile<kWidth>;
  constexpr int kPieces = Tile::kPitch / 8;
  const Vector<__nv_bfloat16> zeros{};
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kPieces; i += Tile::kThreads) {
    store_vector(Tile::activations() + i * 8, zeros);
  }
  __syncthreads();
  const std::int32_t end = winners.first_win[min(first + Tile::kRows, count)];
  for (std::int32_t i = winners.first_win[first] + static_cast<std::int32_t>(threadIdx.x); i < end;
       i += Tile::kThreads) {
    const PointMlpWin win = winners.wins[i];
    const int column = win.feature - block * kWidth;
    if (column < 0 || column >= kWidth) continue;
    Tile::activations()[(win.row - first) * Tile::kPitch + column] = from_float<__nv_bfloat16>(win.dh);
  }
}

/// The reverse of write_activations: rows behind the end become zero.
template <int kWidth>
__device__ __forceinline__ void read_activations(int first, int count, const __nv_bfloat16* in) {
  using Tile = MmaTile<kWidth>;
  constexpr int kPieces = kWidth / 8;
#pragma unroll 8
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kPieces; i += Tile::kThreads) {
    const int row = i / kPieces, column = i % kPieces * 8;
    Vector<__nv_bfloat16> piece{};
    if (first + row < count) piece = load_vector(in + static_cast<std::int64_t>(first + row) * kWidth + column);
    store_vector(Tile::activations() + row * Tile::kPitch + column, piece);
  }
}

/// What the second LayerNorm's backward pass reads for the thread's pairs of columns, where activations are xhat2. Each
/// of its steps has its own, so that it reads shared memory again instead of keeping it in registers.
template <int kWidth>
struct MmaNorm {
  MmaThread<kWidth> thread;
  __device__ __forceinline__ float2 xhat(int m, int h, int j) const {
    return unpack_bf16(activation_pair(thread, m, h, j));
  }
  __device__ __forceinline__ float2 gamma(int j) const { return vector(1, j); }
  __device__ __forceinline__ float2 beta(int j) const { return vector(2, j); }

 private:
  __device__ __forceinline__ float2 vector(int i, int j) const {
    return *reinterpret_cast<const float2*>(MmaTile<kWidth>::vector(i) + thread.column(j));
  }
};

/// d = da2 where relu's argument is positive, zero elsewhere: g. Leaves the sums of gamma4 g and of gamma4 g xhat2 of
/// each row in shared memory, by half of the columns.
template <int kWidth>
__device__ __forceinline__ void second_relu_backward(typename MmaTile<kWidth>::Sums& d) {
  using Tile = MmaTile<kWidth>;
  const MmaNorm<kWidth> norm;
  float sum[2][2] = {}, sum_xhat[2][2] = {};
  for_pairs<kWidth>([&](int m, int h, int j) {
    const float2 x = norm.xhat(m, h, j), gamma = norm.gamma(j), beta = norm.beta(j);
    float &low = d[m][j][2 * h], &high = d[m][j][2 * h + 1];
    low = x.x * gamma.x + beta.x > 0 ? low : 0.0f;
    high = x.y * gamma.y + beta.y > 0 ? high : 0.0f;
    sum[m][h] += low * gamma.x + high * gamma.y;
    sum_xhat[m][h] += low * gamma.x * x.x + high * gamma.y * x.y;
  });
  float* sums = MmaBackward<kWidth>::means() + norm.thread.half() * Tile::kRows;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float a = group_sum<4>(sum[i / 2][i % 2]), b = group_sum<4>(sum_xhat[i / 2][i % 2]);
    if (norm.thread.lane % 4 != 0) continue;
    sums[norm.thread.row(i / 2, i % 2)] = a;
    sums[2 * Tile::kRows + norm.thread.row(i / 2, i % 2)] = b;
  }
}

/// d: g on entry, dz2 on return, which takes the place of xhat2, too. After a block barrier.
template <int kWidth>
__device__ __forceinline__ void second_norm_backward(int hidden, const float (&rstd)[2][2],
                                                     typename MmaTile<kWidth>::Sums& d) {
  using Tile = MmaTile<kWidth>;
  const MmaNorm<kWidth> norm;
  const float* sums = MmaBackward<kWidth>::means();
  const float scale = 1.0f / static_cast<float>(hidden);
  float mean[2][2], mean_xhat[2][2];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* of_row = sums + norm.thread.row(i / 2, i % 2);
    mean[i / 2][i % 2] = (of_row[0] + of_row[Tile::kRows]) * scale;
    mean_xhat[i / 2][i % 2] = (of_row[2 * Tile::kRows] + of_row[3 * Tile::kRows]) * scale;
  }
  for_pairs<kWidth>([&](int m, int h, int j) {
    const float2 x = norm.xhat(m, h, j), gamma = norm.gamma(j);
    float &low = d[m][j][2 * h], &high = d[m][j][2 * h + 1];
    low = rstd[m][h] * (low * gamma.x - mean[m][h] - x.x * mean_xhat[m][h]);
    high = rstd[m][h] * (high * gamma.y - mean[m][h] - x.y * mean_xhat[m][h]);
    activation_pair(norm.thread, m, h, j) = pack_bf16(low, high);
  });
}

/// Back through the second ReLU and LayerNorm: d is da2 and activations are xhat2 on entry; dz2 takes the place of
/// both.
template <int kWidth>
__device__ __forceinline__ void second_backward(int hidden, const float (&rstd)[2][2], const ColumnSums<kWidth>& sums,
                                                typename MmaTile<kWidth>::Sums& d) {
  second_relu_backward<kWidth>(d);
  const auto element = [&](int m, int h, int j, int c) { return d[m][j][2 * h + c]; };
  sums.add(kBf16Beta4, element);
  const MmaNorm<kWidth> norm;
  sums.add(kBf16Gamma4, [&](int m, int h, int j, int c) {
    const float2 x = norm.xhat(m, h, j);
    return d[m][j][2 * h + c] * (c == 0 ? x.x : x.y);
  });
  __syncthreads();
  second_norm_backward<kWidth>(hidden, rstd, d);
  sums.add(kBf16B3, element);
}

/// Back through the first ReLU: g is da1 on entry. Adds the sums over rows of g and of u_j g, and leaves the products
/// of the rows with gamma1 and with the columns of w.first in shared memory. Begins with a block barrier.
template <int kWidth>
__device__ __forceinline__ void first_backward_mma(int in, const PointMlpBf16Weights& w, const ColumnSums<kWidth>& sums,
                                                   typename MmaTile<kWidth>::Sums& g) {
  using Tile = MmaTile<kWidth>;
  using Backward = MmaBackward<kWidth>;
  const MmaThread<kWidth> thread;
  for_pairs<kWidth>([&](int m, int h, int j) {
    const int column = thread.column(j);
    const std::uint32_t* mask = Backward::masks() + thread.row(m, h) * Backward::kWords + column / 64 * 2;
    const int bit = column % 64 / 2;
    if ((mask[0] >> bit & 1) == 0) g[m][j][2 * h] = 0;
    if ((mask[1] >> bit & 1) == 0) g[m][j][2 * h + 1] = 0;
  });
  sums.add(kBf16Beta1, [&](int m, int h, int j, int c) { return g[m][j][2 * h + c]; });
#pragma unroll 1
  for (int input = 0; input <= in; ++input) {
    const float* u = Tile::inputs() + input * Tile::kRows;
    const float of_row[2][2] = {{u[thread.row(0, 0)], u[thread.row(0, 1)]}, {u[thread.row(1, 0)], u[thread.row(1, 1)]}};
    sums.add(kPointMlpBf16Vectors + input,
             [&](int m, int h, int j, int c) { return of_row[m][h] * g[m][j][2 * h + c]; });
  }
  __syncthreads();  // nobody reads activations any more
#pragma unroll 1
  for (int vector = 0; vector < in + 2; ++vector) {
    const float* weights = vector == 0 ? w.vectors + 3 * kWidth : w.first + (vector - 1) * kWidth;
    float product[2][2] = {};
#pragma unroll
    for (int j = 0; j < Tile::kTiles; ++j) {
      const float2 weight = *reinterpret_cast<const float2*>(weights + thread.column(j));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int m = i / 2, h = i % 2;
        product[m][h] += g[m][j][2 * h] * weight.x + g[m][j][2 * h + 1] * weight.y;
      }
    }
    float* out = Backward::products() + (thread.half() * (in + 2) + vector) * Tile::kRows;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float sum = group_sum<4>(product[i / 2][i % 2]);
      if (thread.lane % 4 == 0) out[thread.row(i / 2, i % 2)] = sum;
    }
  }
}

/// dx of the rows, and the block's sums of u_j m and u_j u_k n: scalars [in + 1][in + 2]. Begins with a block barrier.
template <int kWidth>
__device__ __forceinline__ void finish_rows(int in, int hidden, const float* gram, int first, int count, float* dx,
                                            float* scalars, bool first_tile) {
  using Tile = MmaTile<kWidth>;
  const float* u = Tile::inputs();
  float* means = MmaBackward<kWidth>::means();
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < Tile::kRows) {
    const int row = static_cast<int>(threadIdx.x);
    const auto product = [&](int vector) {
      const float* half = MmaBackward<kWidth>::products() + vector * Tile::kRows + row;
      return half[0] + half[(in + 2) * Tile::kRows];
    };
    const float scale = 1.0f / static_cast<float>(hidden);
    float n = 0;
    for (int j = 0; j <= in; ++j) n += u[j * Tile::kRows + row] * product(1 + j);
    n *= scale;
    means[row] = product(0) * scale;
    means[Tile::kRows + row] = n;
    for (int j = 1; j < in && first + row < count; ++j) {
      float w_xhat = 0;  // w0[., j]' xhat / hidden
      for (int k = 0; k <= in; ++k) w_xhat += gram[j * (in + 1) + k] * u[k * Tile::kRows + row];
      dx[static_cast<std::int64_t>(first + row) * (in - 1) + j - 1] =
          u[in * Tile::kRows + row] * (product(1 + j) - n * w_xhat * static_cast<float>(hidden));
    }
  }
  __syncthreads();
  for (int i = warp_index(); i < (in + 1) * (in + 2); i += Tile::kWarps) {
    const int j = i / (in + 2), k = i % (in + 2) - 1;
    float sum = 0;
    for (int row = lane_index(); row < Tile::kRows; row += kWarpSize) {
      const float share = k < 0 ? means[row] : u[k * Tile::kRows + row] * means[Tile::kRows + row];
      sum += u[j * Tile::kRows + row] * share;
    }
    sum = warp_sum(sum);
    if (lane_index() == 0) scalars[i] = first_tile ? sum : scalars[i] + sum;
  }
}

}  // namespace roap::cuda
