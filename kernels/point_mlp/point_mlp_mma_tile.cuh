#pragma once

#include "kernels/common/convert.cuh"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/ptx/opaque.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// The network on a block's tile of 128 rows, its large products on tensor cores (mma.sync) in bf16 with f32 sums. Eight
// warps share the tile, 32 rows by half of the columns each. Activations never leave the chip: they go from registers
// to shared memory as the next product's operand, and the sums stay in registers. Weights stream through shared memory
// in slices of 64 inputs, one ahead.
//
// The first layer and its LayerNorm have a closed form, because z1 = w0 x + b0 depends on few numbers v = (x, 1): with
// the columns of (w0, b0) centred, the mean is zero and the variance is v' G v, G their Gram matrix. So
// a1 = relu(sum_j u_j (gamma1 w_j) + beta1) with u = v * rstd, in f32 on CUDA cores. With the columns of w3 and b3
// centred, too, the second LayerNorm needs no mean.

namespace roap::cuda {

template <int kWidth>
struct MmaTile {
  static constexpr int kRows = 128, kWarps = 8, kThreads = kWarps * kWarpSize;
  static constexpr int kRowWarps = 4, kWarpRows = kRows / kRowWarps, kWarpColumns = kWidth / 2;
  static constexpr int kTiles = kWarpColumns / 8;  ///< of 8 columns that a warp owns
  static constexpr int kDepth = kPointMlpSliceDepth, kSlice = kWidth * kDepth, kStages = 2;
  static constexpr int kSlices = (kWidth + kDepth - 1) / kDepth;  ///< of a matrix
  static constexpr int kPitch = kWidth + 8;  ///< of activations: rows that ldmatrix reads together use different banks
  static constexpr int kVectors = 4;         ///< b3, gamma4, beta4, b6

  /// Sums of a product: [m][j][2 h + c] is row 16 m + 8 h + lane / 4 and column 8 j + 2 (lane % 4) + c of the warp's.
  using Sums = float[2][kTiles][4];

  static constexpr std::size_t kActivationsAt = std::size_t{kStages} * kSlice * sizeof(__nv_bfloat16);
  static constexpr std::size_t kInputsAt = kActivationsAt + std::size_t{kRows} * kPitch * sizeof(__nv_bfloat16);
  static constexpr std::size_t kVectorsAt = kInputsAt + (kPointMlpMostInputs + 1) * kRows * sizeof(float);
  static constexpr std::size_t kSquaresAt = kVectorsAt + kVectors * kWidth * sizeof(float);
  static constexpr std::size_t kSharedBytes = kSquaresAt + 2 * kRows * sizeof(float);

  static __device__ __nv_bfloat16* stage(int i) {
    return dynamic_shared<__nv_bfloat16>(static_cast<std::size_t>(i) * kSlice * sizeof(__nv_bfloat16));
  }
  static __device__ __nv_bfloat16* activations() { return dynamic_shared<__nv_bfloat16>(kActivationsAt); }
  static __device__ float* inputs() { return dynamic_shared<float>(kInputsAt); }  ///< u [in + 1][kRows]
  static __device__ float* vector(int i) { return dynamic_shared<float>(kVectorsAt) + i * kWidth; }
  static __device__ float* squares() { return dynamic_shared<float>(kSquaresAt); }  ///< [2][kRows]
};

/// What a thread owns of a tile. Every step asks anew, because numbers that are kept from step to step would take
/// registers from the sums.
template <int kWidth>
struct MmaThread {
  using Tile = MmaTile<kWidth>;
  int warp, lane;
  __device__ __forceinline__ MmaThread() {
    const auto thread = static_cast<int>(ptx::opaque(threadIdx.x));
    warp = thread / kWarpSize;
    lane = thread % kWarpSize;
  }
  __device__ __forceinline__ int first_row() const { return warp % Tile::kRowWarps * Tile::kWarpRows; }
  __device__ __forceinline__ int half() const { return warp / Tile::kRowWarps; }  ///< of the columns
  __device__ __forceinline__ int first_column() const { return half() * Tile::kWarpColumns; }
  __device__ __forceinline__ int row(int m, int h) const { return first_row() + 16 * m + 8 * h + lane / 4; }
  __device__ __forceinline__ int column(int j) const { return first_column() + 8 * j + 2 * (lane % 4); }
};

/// Streams the slices of matrices that follow each other in memory through a ring of stages, again and again.
template <int kWidth>
class MmaWeightStream {
 public:
  using Tile = MmaTile<kWidth>;
  /// The first matrix and `others` from number `second_matrix` on, `rounds` times through all of them. All threads of
  /// the block call all functions together.
  __device__ MmaWeightStream(const __nv_bfloat16* matrices, int second_matrix, int others, int rounds)
      : matrices_(matrices),
        skipped_((second_matrix - 1) * Tile::kSlices),
        period_((1 + others) * Tile::kSlices),
        left_(rounds * period_) {
    issue(0);
  }
  /// The next slice, which stays until the next call: [kWidth][kDepth], row by row an output and its inputs, swizzled.
  __device__ const __nv_bfloat16* next() {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // everyone's part has landed, and nobody reads the slice before any more
    const int stage = stage_;
    stage_ ^= 1;
    issue(stage_);
    return Tile::stage(stage);
  }

 private:
  __device__ void issue(int stage) {
    if (left_ > 0) {
      const std::int64_t slice = next_ < Tile::kSlices ? next_ : next_ + skipped_;
      const __nv_bfloat16* source = matrices_ + slice * Tile::kSlice;
      constexpr int kStep = Tile::kThreads * 8;
#pragma unroll
      for (int i = 0; i < Tile::kSlice; i += kStep) {
        const int at = i + static_cast<int>(threadIdx.x) * 8;
        if (Tile::kSlice % kStep == 0 || at < Tile::kSlice) ptx::cp_async_16(Tile::stage(stage) + at, source + at);
      }
      --left_;
      if (++next_ == period_) next_ = 0;
    }
    ptx::cp_async_commit();
  }

  const __nv_bfloat16* matrices_;
  int skipped_, period_, left_;
  int next_ = 0;   // slice to be copied
  int stage_ = 0;  // of the slice to be used
};

/// sums += activations * weights of the next matrix, from its first `depth` inputs, rounded up to 16.
template <int kWidth>
__device__ __forceinline__ void multiply_mma(MmaWeightStream<kWidth>& weights, int depth,
                                             typename MmaTile<kWidth>::Sums& sums) {
  using Tile = MmaTile<kWidth>;
  const MmaThread<kWidth> thread;
  const int lane = thread.lane;
  const __nv_bfloat16* a_row = Tile::activations() + (thread.first_row() + lane % 16) * Tile::kPitch + lane / 16 * 8;
  const int output = thread.first_column() + lane / 16 * 8 + lane % 8;  // whose row of weights this lane names
#pragma unroll 1
  for (int first = 0; first < Tile::kSlices * Tile::kDepth; first += Tile::kDepth) {
    const __nv_bfloat16* b_row = weights.next() + output * Tile::kDepth;
#pragma unroll
    for (int k = 0; k < Tile::kDepth; k += 16) {
      if (first + k >= depth) break;
      std::uint32_t a[2][4];
      ptx::ldmatrix_x4(a[0], a_row + first + k);
      ptx::ldmatrix_x4(a[1], a_row + first + k + 16 * Tile::kPitch);
      // Pieces of 8 inputs are exchanged by output (Swizzle::bytes_128).
      const __nv_bfloat16* b_piece = b_row + ((k / 8 + lane / 8 % 2) ^ (lane % 8)) * 8;
#pragma unroll
      for (int j = 0; j < Tile::kTiles; j += 2) {
        std::uint32_t b[4];
        ptx::ldmatrix_x4(b, b_piece + j * 8 * Tile::kDepth);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          ptx::mma_m16n8k16(sums[m][j], a[m], b[0], b[1]);
          ptx::mma_m16n8k16(sums[m][j + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
}

/// Every row of sums = values [kWidth] in shared memory.
template <int kWidth>
__device__ __forceinline__ void fill_rows(const float* values, typename MmaTile<kWidth>::Sums& sums) {
  using Tile = MmaTile<kWidth>;
  const MmaThread<kWidth> thread;
#pragma unroll
  for (int j = 0; j < Tile::kTiles; ++j) {
    const float2 value = *reinterpret_cast<const float2*>(values + thread.column(j));
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      sums[m][j][0] = sums[m][j][2] = value.x;
      sums[m][j][1] = sums[m][j][3] = value.y;
    }
  }
}

/// Copies the small weights that products start from and end with to shared memory, those of feature block `block`.
template <int kWidth>
__device__ __forceinline__ void load_vectors(const PointMlpBf16Weights& w, int block) {
  using Tile = MmaTile<kWidth>;
  for (int i = static_cast<int>(threadIdx.x); i < kWidth; i += Tile::kThreads) {
    for (int v = 0; v < 3; ++v) Tile::vector(v)[i] = w.vectors[v * kWidth + i];
    Tile::vector(3)[i] = w.b6[block * kWidth + i];
  }
}

/// u of the tile's rows, the first of which is row `first` of `count`: value(row, input). By the threads below kRows.
template <int kWidth, class Value>
__device__ __forceinline__ void load_inputs_mma(int in, const float* gram, int first, int count, const Value& value) {
  using Tile = MmaTile<kWidth>;
  const int row = static_cast<int>(threadIdx.x);
  if (row >= Tile::kRows) return;
  const bool inside = first + row < count;
  normalised_inputs(in, gram, Tile::inputs() + row, Tile::kRows,
                    [&](int j) { return inside ? value(first + row, j) : 0.0f; });
}

/// a1 of 16 rows by each warp. use(row, word, positive, next_positive) gets, from all lanes together, which of columns
/// 2 (lane + 32 word) and the next one are above zero.
template <int kWidth, class Use>
__device__ __forceinline__ void first_layer_mma(int in, const float* first_weights, const Use& use) {
  using Tile = MmaTile<kWidth>;
  constexpr int kBatch = 8;
  const MmaThread<kWidth> thread;
#pragma unroll 1
  for (int batch = 0; batch < Tile::kRows / Tile::kWarps; batch += kBatch) {
    const int row = thread.warp * (Tile::kRows / Tile::kWarps) + batch;
#pragma unroll
    for (int word = 0; word < (kWidth + 63) / 64; ++word) {
      const int column = 2 * (thread.lane + kWarpSize * word);
      const bool inside = column < kWidth;
      const float* w = first_weights + (inside ? column : 0);
      const auto weight = [&](int j) { return *reinterpret_cast<const float2*>(w + j * kWidth); };
      float2 z[kBatch];
#pragma unroll
      for (float2& value : z) value = weight(in + 1);  // beta1
#pragma unroll 1
      for (int j = 0; j <= in; ++j) {
        const float2 wj = weight(j);
        const auto* u = reinterpret_cast<const float4*>(Tile::inputs() + j * Tile::kRows + row);
        const float4 low = u[0], high = u[1];
        const float us[kBatch] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
          z[i].x += us[i] * wj.x;
          z[i].y += us[i] * wj.y;
        }
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        use(row + i, word, inside && z[i].x > 0, inside && z[i].y > 0);
        if (!inside) continue;
        *reinterpret_cast<std::uint32_t*>(Tile::activations() + (row + i) * Tile::kPitch + column) =
            pack_bf16_relu(z[i].x, z[i].y);
      }
    }
  }
}

/// rstd of the second LayerNorm for the thread's rows, from centred sums. Contains a block barrier, after which nobody
/// reads the activations that led to the sums any more.
template <int kWidth>
__device__ __forceinline__ void centred_rstd(int hidden, const typename MmaTile<kWidth>::Sums& z, float (&rstd)[2][2]) {
  using Tile = MmaTile<kWidth>;
  const MmaThread<kWidth> thread;
  float* squares = Tile::squares() + thread.half() * Tile::kRows;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < Tile::kTiles; ++j) {
        sum += z[m][j][2 * h] * z[m][j][2 * h] + z[m][j][2 * h + 1] * z[m][j][2 * h + 1];
      }
      sum = group_sum<4>(sum);
      if (thread.lane % 4 == 0) squares[thread.row(m, h)] = sum;
    }
  }
  __syncthreads();
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = thread.row(m, h);
      const float sum = Tile::squares()[row] + Tile::squares()[Tile::kRows + row];
      rstd[m][h] = rsqrtf(sum / static_cast<float>(hidden) + kPointMlpEpsilon);
    }
  }
}

/// The thread's pair of activations.
template <int kWidth>
__device__ __forceinline__ std::uint32_t& activation_pair(const MmaThread<kWidth>& thread, int m, int h, int j) {
  using Tile = MmaTile<kWidth>;
  return *reinterpret_cast<std::uint32_t*>(Tile::activations() + thread.row(m, h) * Tile::kPitch + thread.column(j));
}

/// Activations = relu(gamma4 z rstd + beta4).
template <int kWidth>
__device__ __forceinline__ void store_second_activations(const typename MmaTile<kWidth>::Sums& z,
                                                         const float (&rstd)[2][2]) {
  using Tile = MmaTile<kWidth>;
  const MmaThread<kWidth> thread;
#pragma unroll
  for (int j = 0; j < Tile::kTiles; ++j) {
    const float2 gamma = *reinterpret_cast<const float2*>(Tile::vector(1) + thread.column(j));
    const float2 beta = *reinterpret_cast<const float2*>(Tile::vector(2) + thread.column(j));
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float low = z[m][j][2 * h] * rstd[m][h] * gamma.x + beta.x;
        const float high = z[m][j][2 * h + 1] * rstd[m][h] * gamma.y + beta.y;
        activation_pair(thread, m, h, j) = pack_bf16_relu(low, high);
      }
    }
  }
}

/// Merges the rows of a warp column by column: value(j, c) is what the thread's rows give for its column c of tile j;
/// use(column, merged value) is called by one lane for each column of the warp.
template <int kWidth, class Value, class Merge, class Use>
__device__ __forceinline__ void merge_rows(const Value& value, const Merge& merge, const Use& use) {
  using Tile = MmaTile<kWidth>;
  const MmaThread<kWidth> thread;
  const auto some_tiles = [&]<int kTiles>(int first) {
    decltype(value(0, 0)) values[2 * kTiles];
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) values[i] = value(first + i / 2, i % 2);
    merge_lanes<2 * kTiles, 16>(thread.lane, values, 2 * first, true, merge,
                                [&](int i, const auto& merged) { use(thread.column(i / 2) + i % 2, merged); });
  };
  constexpr int kAtOnce = 4;  // eight columns for eight lanes
#pragma unroll
  for (int j = 0; j + kAtOnce <= Tile::kTiles; j += kAtOnce) some_tiles.template operator()<kAtOnce>(j);
  if constexpr (Tile::kTiles % kAtOnce != 0) {
    some_tiles.template operator()<Tile::kTiles % kAtOnce>(Tile::kTiles / kAtOnce * kAtOnce);
  }
}

}  // namespace roap::cuda
