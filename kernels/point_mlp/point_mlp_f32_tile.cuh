#pragma once

#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/reduce.cuh"
#include "kernels/point_mlp/point_mlp_row.cuh"

// The network on a block's tile of 64 rows in f32, on CUDA cores. A warp owns eight rows with all their columns, so
// that LayerNorm needs no more than sums over a warp; a lane holds columns lane, lane + 32, ... of each. Activations
// stay in registers and shared memory; of the weights only slices are there, which stream through shared memory. A lane
// reads 16 floats for 64 multiply-adds, so that arithmetic, not shared memory, is the bottleneck.

namespace roap::cuda {

template <int kWidth>
struct F32Tile {
  static constexpr int kRows = 64, kWarps = 8, kWarpRows = kRows / kWarps, kThreads = kWarps * kWarpSize;
  static constexpr int kColumns = kWidth / kWarpSize;  ///< of a lane
  static constexpr int kDepth = 8, kStages = 3;        ///< of the slices of weights
  static constexpr int kActivations = kWidth * kRows;  ///< [kWidth][kRows]
  static constexpr int kSlice = kDepth * kWidth;
  static constexpr int kInputs = kPointMlpMostInputs * kRows;
  static constexpr std::size_t kSharedBytes = (kActivations + kStages * kSlice + kInputs) * sizeof(float);
  /// z[i][j]: row i of the warp's, column lane + 32 j.
  using Values = float[kWarpRows][kColumns];

  static __device__ float* activations() { return dynamic_shared<float>(); }
  static __device__ float* slices() { return dynamic_shared<float>(kActivations * sizeof(float)); }
  /// Inputs of the network [in][kRows].
  static __device__ float* inputs() { return dynamic_shared<float>((kActivations + kStages * kSlice) * sizeof(float)); }
};

/// Packed rows of weights hold the columns of a lane side by side, so that it reads them as wide words and neighbouring
/// lanes read neighbouring words. The column at `position` of a row of kWidth (host and device):
template <int kWidth>
struct F32Columns {
  static constexpr int kCount = kWidth / kWarpSize;
  static constexpr int kWord = kCount % 4 == 0 ? 4 : kCount % 2 == 0 ? 2 : 1;
  static __host__ __device__ int column(int position) {
    const int word = position / kWord;
    return word % kWarpSize + kWarpSize * (word / kWarpSize * kWord + position % kWord);
  }
};

/// This lane's columns of a packed row, in shared or global memory.
template <int kWidth>
__device__ __forceinline__ void load_columns(const float* row, float (&values)[kWidth / kWarpSize]) {
  using C = F32Columns<kWidth>;
  const float* words = row + lane_index() * C::kWord;
#pragma unroll
  for (int j = 0; j < C::kCount; j += C::kWord) {
    const float* word = words + j * kWarpSize;
    if constexpr (C::kWord == 4) {
      const float4 w = *reinterpret_cast<const float4*>(word);
      values[j] = w.x, values[j + 1] = w.y, values[j + 2] = w.z, values[j + 3] = w.w;
    } else if constexpr (C::kWord == 2) {
      const float2 w = *reinterpret_cast<const float2*>(word);
      values[j] = w.x, values[j + 1] = w.y;
    } else {
      values[j] = *word;
    }
  }
}

/// Fills the inputs of the warp's rows, the first of which is row `first` of `count`: value(row, input), zeros behind
/// the last.
template <int kWidth, class Value>
__device__ __forceinline__ void load_inputs(int in, int first, int count, const Value& value) {
  using Tile = F32Tile<kWidth>;
  float* inputs = Tile::inputs() + warp_index() * Tile::kWarpRows;
  __syncwarp();  // other lanes may still read the inputs before
#pragma unroll 1
  for (int i = lane_index(); i < in * Tile::kWarpRows; i += kWarpSize) {
    const int row = i % Tile::kWarpRows, input = i / Tile::kWarpRows;
    inputs[input * Tile::kRows + row] = first + row < count ? value(first + row, input) : 0.0f;
  }
  __syncwarp();
}

/// The warp's eight activations of column k: rows 0 to 3 at [0] and 4 to 7 at [1], the other way round for odd k. Rows
/// are exchanged by column, so that lanes that store neighbouring columns use different banks.
__device__ __forceinline__ float4* activations_of_warp(float* activations, int k) {
  return reinterpret_cast<float4*>(activations + k * 64 + ((warp_index() ^ (k >> 1 & 3)) << 3));
}

/// Streams the slices of two matrices, the first and another one, in turn, through a ring of stages.
template <int kWidth>
class F32WeightStream {
 public:
  using Tile = F32Tile<kWidth>;
  /// `left`: slices in all. All threads of the block call all functions together.
  __device__ F32WeightStream(const PointMlpF32Weights& w, int second_matrix, int left)
      : matrices_(w.matrices), slices_(w.slices), skipped_((second_matrix - 1) * w.slices), left_(left) {
#pragma unroll
    for (int i = 0; i < Tile::kStages - 1; ++i) issue(i);
  }
  /// The next slice [kDepth][kWidth], which stays until the next call.
  __device__ const float* next() {
    ptx::cp_async_wait_group<Tile::kStages - 2>();
    __syncthreads();  // everyone's part has landed, and nobody reads the slice before any more
    issue((stage_ + Tile::kStages - 1) % Tile::kStages);
    const float* slice = Tile::slices() + stage_ * Tile::kSlice;
    stage_ = (stage_ + 1) % Tile::kStages;
    return slice;
  }

 private:
  __device__ void issue(int stage) {
    if (left_ > 0) {
      const int slice = next_ < slices_ ? next_ : next_ + skipped_;
      const float* source = matrices_ + static_cast<std::int64_t>(slice) * Tile::kSlice;
      float* target = Tile::slices() + stage * Tile::kSlice;
#pragma unroll
      for (int i = 0; i < Tile::kSlice; i += Tile::kThreads * 4) {
        const int at = i + static_cast<int>(threadIdx.x) * 4;
        if (at < Tile::kSlice) ptx::cp_async_16(target + at, source + at);
      }
      --left_;
      if (++next_ == 2 * slices_) next_ = 0;
    }
    ptx::cp_async_commit();
  }

  const float* matrices_;
  int slices_, skipped_, left_;
  int next_ = 0;   // slice to be copied, counted over both matrices
  int stage_ = 0;  // of the slice to be used
};

/// z += w a for the warp's rows: a is in shared memory, w comes as the next `slices` slices.
template <int kWidth>
__device__ __forceinline__ void multiply_f32(F32WeightStream<kWidth>& weights, int slices,
                                             typename F32Tile<kWidth>::Values& z) {
  using Tile = F32Tile<kWidth>;
  for (int s = 0; s < slices; ++s) {
    const float* slice = weights.next();
    float* activations = Tile::activations() + s * Tile::kDepth * Tile::kRows;
#pragma unroll
    for (int k = 0; k < Tile::kDepth; ++k) {
      const float4* block = activations_of_warp(activations, k);
      const float4 low = block[k % 2], high = block[1 - k % 2];
      const float a[Tile::kWarpRows] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
      float w[Tile::kColumns];
      load_columns<kWidth>(slice + k * kWidth, w);
#pragma unroll
      for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
        for (int j = 0; j < Tile::kColumns; ++j) z[i][j] += a[i] * w[j];
      }
    }
  }
}

/// Writes the warp's rows, for multiply_f32 of the same warp.
template <int kWidth>
__device__ __forceinline__ void store_activations(const typename F32Tile<kWidth>::Values& a) {
  using Tile = F32Tile<kWidth>;
  __syncwarp();                                       // other lanes may still read the activations before
  constexpr int kStep = kWarpSize * Tile::kRows / 4;  // from one column of a lane to its next, in blocks
  float4* low = activations_of_warp(Tile::activations(), lane_index()) + lane_index() % 2;
  float4* high = activations_of_warp(Tile::activations(), lane_index()) + 1 - lane_index() % 2;
#pragma unroll
  for (int j = 0; j < Tile::kColumns; ++j) {
    low[j * kStep] = make_float4(a[0][j], a[1][j], a[2][j], a[3][j]);
    high[j * kStep] = make_float4(a[4][j], a[5][j], a[6][j], a[7][j]);
  }
  __syncwarp();
}

/// Every row of z = a packed row of kWidth.
template <int kWidth>
__device__ __forceinline__ void fill_rows(const float* packed, typename F32Tile<kWidth>::Values& z) {
  using Tile = F32Tile<kWidth>;
  float values[Tile::kColumns];
  load_columns<kWidth>(packed, values);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) z[i][j] = values[j];
  }
}

/// z = b0 + w0 x for the warp's rows, x from shared memory.
template <int kWidth>
__device__ __forceinline__ void first_layer(int in, const PointMlpF32Weights& w, typename F32Tile<kWidth>::Values& z) {
  using Tile = F32Tile<kWidth>;
  fill_rows<kWidth>(w.vectors + kB0 * kWidth, z);
  for (int input = 0; input < in; ++input) {
    float weights[Tile::kColumns];
    load_columns<kWidth>(w.w0 + input * kWidth, weights);
    const float* x = Tile::inputs() + input * Tile::kRows + warp_index() * Tile::kWarpRows;
#pragma unroll
    for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kColumns; ++j) z[i][j] += x[i] * weights[j];
    }
  }
}

/// z -> xhat = (z - mean) * rstd over the first `hidden` columns, row by row; padding becomes unimportant numbers.
template <int kWidth>
__device__ __forceinline__ void normalise_rows(int hidden, typename F32Tile<kWidth>::Values& z,
                                               float (&rstd)[F32Tile<kWidth>::kWarpRows]) {
  using Tile = F32Tile<kWidth>;
  const float scale = 1.0f / static_cast<float>(hidden);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
    float sum = 0, squares = 0;
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) sum += z[i][j];  // padding is zero
    const float mean = warp_sum(sum) * scale;
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      z[i][j] -= mean;
      if (lane_index() + kWarpSize * j < hidden) squares += z[i][j] * z[i][j];
    }
    rstd[i] = rsqrtf(warp_sum(squares) * scale + kPointMlpEpsilon);
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) z[i][j] *= rstd[i];
  }
}

/// a = relu(gamma * xhat + beta) for the warp's rows; use(row, j, a) gets every value. Zero in the padding, where gamma
/// and beta are.
template <int kWidth, class Use>
__device__ __forceinline__ void scale_relu(const float* gamma, const float* beta,
                                           const typename F32Tile<kWidth>::Values& xhat, const Use& use) {
  using Tile = F32Tile<kWidth>;
  float g[Tile::kColumns], b[Tile::kColumns];
  load_columns<kWidth>(gamma, g);
  load_columns<kWidth>(beta, b);
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kColumns; ++j) {
      use(i, j, relu(xhat[i][j] * g[j] + b[j]));
    }
  }
}

}  // namespace roap::cuda
