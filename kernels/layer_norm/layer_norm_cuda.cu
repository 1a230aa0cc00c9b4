#include <algorithm>

#include "kernels/common/column_sum.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/layer_norm/layer_norm.h"

namespace roap::cuda {

namespace {

constexpr int kWarps = 8, kThreads = kWarps * kWarpSize;

/// dgamma and dbeta are summed piece by piece, then over the pieces.
struct Pieces {
  std::int64_t rows = 0, count = 0;  // rows of a piece
  explicit Pieces(const LayerNormDims& d) {
    constexpr std::int64_t kLeastRows = 64, kMost = 1024;
    rows = std::max(kLeastRows, (d.rows + kMost - 1) / kMost);
    count = (d.rows + rows - 1) / rows;
  }
};

/// Calls use(first column, elements) for the pieces of a row that this lane owns: 16-byte ones where kVectors, else
/// single elements.
template <bool kVectors, class Use>
__device__ __forceinline__ void for_columns(std::int64_t columns, const Use& use) {
  constexpr int kStep = kVectors ? kVectorSize<float> : 1;
  for (std::int64_t k = threadIdx.x % kWarpSize * kStep; k < columns; k += kWarpSize * kStep) use(k);
}

/// x[k ...] as an array of one piece.
template <bool kVectors>
struct Piece {
  static constexpr int kSize = kVectors ? kVectorSize<float> : 1;
  float values[kSize];
  __device__ explicit Piece(const float* x) {
    if constexpr (kVectors) {
      to_floats(load_vector(x), values);
    } else {
      values[0] = *x;
    }
  }
  __device__ void store(float* x) const {
    if constexpr (kVectors) {
      store_vector(x, from_floats<float>(values));
    } else {
      *x = values[0];
    }
  }
};

__device__ __forceinline__ std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarpSize;
}

/// Computes  y = gamma * (x - mean) * rstd + beta, with ReLU on request, and mean and rstd of the row
/// Shapes    x, y [rows, columns], gamma, beta [columns], mean, rstd [rows]; any sizes
/// Mapping   a warp owns a row
/// Memory    x is read once from memory and twice more through L1, y written once: bound by bandwidth
/// Numerics  f32, the variance around the mean; sums per lane, then by halving
template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    layer_norm_forward_kernel(LayerNormDims d, const float* x, const float* gamma, const float* beta, float* y,
                              float* mean, float* rstd) {
  const std::int64_t row = row_of_warp();
  if (row >= d.rows) return;
  using P = Piece<kVectors>;
  const float* x_row = x + row * d.columns;
  const float scale = 1.0f / static_cast<float>(d.columns);
  float sum = 0, squares = 0;
  for_columns<kVectors>(d.columns, [&](std::int64_t k) {
    for (const float value : P(x_row + k).values) sum += value;
  });
  const float m = warp_sum(sum) * scale;
  for_columns<kVectors>(d.columns, [&](std::int64_t k) {
    for (const float value : P(x_row + k).values) squares += (value - m) * (value - m);
  });
  const float r = 1.0f / sqrtf(warp_sum(squares) * scale + d.epsilon);
  for_columns<kVectors>(d.columns, [&](std::int64_t k) {
    P piece(x_row + k);
    const P g(gamma + k), b(beta + k);
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      const float value = g.values[i] * ((piece.values[i] - m) * r) + b.values[i];
      piece.values[i] = d.relu && value < 0 ? 0.0f : value;  // a NaN stays one
    }
    piece.store(y + row * d.columns + k);
  });
  if (threadIdx.x % kWarpSize == 0) {
    mean[row] = m;
    rstd[row] = r;
  }
}

/// Computes  dx (+)= rstd * (u - mean(u) - xhat * mean(u * xhat)), u = gamma * dy where y > 0
/// Shapes    dy, y (relu only), x, dx [rows, columns], gamma [columns], mean, rstd [rows]; any sizes
/// Mapping   a warp owns a row
/// Memory    dy, y and x are read once from memory and once more through L1, dx written once
/// Numerics  f32; sums per lane, then by halving
template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    layer_norm_backward_data_kernel(LayerNormDims d, const float* dy, const float* y, const float* x,
                                    const float* gamma, const float* mean, const float* rstd, float* dx,
                                    bool accumulate) {
  const std::int64_t row = row_of_warp();
  if (row >= d.rows) return;
  using P = Piece<kVectors>;
  const std::int64_t begin = row * d.columns;
  const float m = mean[row], r = rstd[row], scale = 1.0f / static_cast<float>(d.columns);
  // Calls use(column, u, xhat) piece by piece.
  const auto for_gradients = [&](const auto& use) {
    for_columns<kVectors>(d.columns, [&](std::int64_t k) {
      P u(dy + begin + k), xhat(x + begin + k);
      const P g(gamma + k), output((d.relu ? y : dy) + begin + k);
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        u.values[i] = d.relu && !(output.values[i] > 0) ? 0.0f : u.values[i] * g.values[i];
        xhat.values[i] = (xhat.values[i] - m) * r;
      }
      use(k, u, xhat);
    });
  };
  float sum = 0, product = 0;
  for_gradients([&](std::int64_t /*k*/, const P& u, const P& xhat) {
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      sum += u.values[i];
      product += u.values[i] * xhat.values[i];
    }
  });
  const float u_mean = warp_sum(sum) * scale, u_xhat_mean = warp_sum(product) * scale;
  for_gradients([&](std::int64_t k, const P& u, const P& xhat) {
    P out(accumulate ? dx + begin + k : x + begin + k);
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      const float value = r * (u.values[i] - u_mean - xhat.values[i] * u_xhat_mean);
      out.values[i] = accumulate ? out.values[i] + value : value;
    }
    out.store(dx + begin + k);
  });
}

/// Computes  per piece, sums of g * xhat and of g, g = dy where y > 0
/// Shapes    dy, y (relu only), x [rows, columns], mean, rstd [rows], parts [pieces, 2, columns]; any sizes
/// Mapping   a block owns 32 columns of a piece
/// Memory    every element is read once, coalesced
/// Numerics  f32, in the fixed order of column_sum
__global__ void __launch_bounds__(kColumnSumThreads)
    layer_norm_backward_weight_kernel(LayerNormDims d, std::int64_t piece_rows, const float* dy, const float* y,
                                      const float* x, const float* mean, const float* rstd, float* parts) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  const std::int64_t first = blockIdx.y * piece_rows;
  const std::int64_t rows = min(piece_rows, d.rows - first);
  const bool inside = column < d.columns;
  const auto gradient = [&](std::int64_t row) {
    const std::int64_t at = (first + row) * d.columns + column;
    return inside && (!d.relu || y[at] > 0) ? dy[at] : 0.0f;
  };
  const float dgamma = column_sum(rows, [&](std::int64_t row) {
    if (!inside) return 0.0f;
    const std::int64_t at = (first + row) * d.columns + column;
    return gradient(row) * ((x[at] - mean[first + row]) * rstd[first + row]);
  });
  const float dbeta = column_sum(rows, gradient);
  if (threadIdx.x >= kColumnSumColumns || !inside) return;
  float* part = parts + blockIdx.y * 2 * d.columns + column;
  part[0] = dgamma;
  part[d.columns] = dbeta;
}

/// Computes  dgamma and dbeta: sums of all pieces
/// Shapes    parts [pieces, 2, columns]; dgamma, dbeta [columns] or null
/// Mapping   a block owns 32 columns of one of them
/// Memory    parts are read once
/// Numerics  f32, in the fixed order of column_sum
__global__ void __launch_bounds__(kColumnSumThreads)
    layer_norm_add_pieces_kernel(LayerNormDims d, std::int64_t pieces, const float* parts, float* dgamma,
                                 float* dbeta) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  float* out = blockIdx.y == 0 ? dgamma : dbeta;
  if (out == nullptr) return;
  const float sum = column_sum(pieces, [&](std::int64_t piece) {
    return column < d.columns ? parts[(2 * piece + blockIdx.y) * d.columns + column] : 0.0f;
  });
  if (threadIdx.x < kColumnSumColumns && column < d.columns) out[column] = sum;
}

LaunchShape warp_per_row(const LayerNormDims& d) {
  return {.grid = static_cast<unsigned>((d.rows + kWarps - 1) / kWarps), .block = kThreads};
}

}  // namespace

void layer_norm_forward(const LayerNormDims& d, const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd, Stream stream) {
  const auto kernel = can_use_vectors(d.columns, x, y, gamma, beta) ? layer_norm_forward_kernel<true>
                                                                    : layer_norm_forward_kernel<false>;
  launch("layer_norm_forward", warp_per_row(d), stream, kernel, d, x, gamma, beta, y, mean, rstd);
}

std::size_t layer_norm_backward_workspace(const LayerNormDims& d) {
  return static_cast<std::size_t>(Pieces(d).count * 2 * d.columns) * sizeof(float);
}

void layer_norm_backward(const LayerNormDims& d, const float* dy, const float* y, const float* x, const float* gamma,
                         const float* mean, const float* rstd, float* dx, bool accumulate, float* dgamma, float* dbeta,
                         float* workspace, Stream stream) {
  if (dx != nullptr) {
    const bool vectors = can_use_vectors(d.columns, dy, x, gamma, dx) && (!d.relu || can_use_vectors(d.columns, y));
    const auto kernel = vectors ? layer_norm_backward_data_kernel<true> : layer_norm_backward_data_kernel<false>;
    launch("layer_norm_backward_data", warp_per_row(d), stream, kernel, d, dy, y, x, gamma, mean, rstd, dx, accumulate);
  }
  if (dgamma == nullptr && dbeta == nullptr) return;
  const Pieces pieces(d);
  const unsigned blocks = column_sum_blocks(d.columns);
  launch("layer_norm_backward_weight",
         {.grid = {blocks, static_cast<unsigned>(pieces.count)}, .block = kColumnSumThreads}, stream,
         layer_norm_backward_weight_kernel, d, pieces.rows, dy, y, x, mean, rstd, workspace);
  launch("layer_norm_add_pieces", {.grid = {blocks, 2}, .block = kColumnSumThreads}, stream,
         layer_norm_add_pieces_kernel, d, pieces.count, workspace, dgamma, dbeta);
}

}  // namespace roap::cuda
