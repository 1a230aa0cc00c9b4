#include "kernels/common/column_sum.cuh"
#include "kernels/common/f32_product.cuh"
#include "kernels/common/launch.h"
#include "kernels/linear/linear_mma.h"

// The products in f32, on CUDA cores, and which kernels run.

namespace roap::cuda {

namespace {

using P = F32Product;

__device__ __forceinline__ int tile_row(unsigned block) { return static_cast<int>(block) * P::kTile; }

/// Computes  y[r, o] = sum_i x[r, i] w[o, i] + b[o]
/// Shapes    x [rows, in], w [out, in], b [out] or null, y [rows, out]; any sizes
/// Mapping   a block owns 64 rows by 64 outputs, a thread 4 x 4 of them
/// Memory    x is read out / 64 times, w rows / 64 times (L2), y written once
/// Numerics  f32, i ascending, the bias last
/// Limits    sizes below 2^31
__global__ void __launch_bounds__(P::kThreads)
    linear_forward_kernel(LinearDims d, const float* x, const float* w, const float* b, float* y) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const int first_row = tile_row(blockIdx.y), first_output = tile_row(blockIdx.x);
  multiply_f32_tile<ReadAlong::k, ReadAlong::k>(
      in,
      [&](int r, int i) {
        return first_row + r < rows && i < in ? x[static_cast<std::int64_t>(first_row + r) * in + i] : 0.0f;
      },
      [&](int o, int i) {
        return first_output + o < out && i < in ? w[static_cast<std::int64_t>(first_output + o) * in + i] : 0.0f;
      },
      [&](int r, int o, float sum) {
        if (first_row + r >= rows || first_output + o >= out) return;
        const float bias = b != nullptr ? b[first_output + o] : 0.0f;
        y[static_cast<std::int64_t>(first_row + r) * out + first_output + o] = sum + bias;
      });
}

/// Computes  dx[r, i] (+)= sum_o dy[r, o] w[o, i]
/// Shapes    dy [rows, out], w [out, in], dx [rows, in]; any sizes
/// Mapping   a block owns 64 rows by 64 inputs, a thread 4 x 4 of them
/// Memory    dy is read in / 64 times, w rows / 64 times (L2), dx written once
/// Numerics  f32, o ascending
/// Limits    sizes below 2^31
__global__ void __launch_bounds__(P::kThreads)
    linear_backward_data_kernel(LinearDims d, const float* dy, const float* w, float* dx, bool accumulate) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const int first_row = tile_row(blockIdx.y), first_input = tile_row(blockIdx.x);
  multiply_f32_tile<ReadAlong::k, ReadAlong::rows>(
      out,
      [&](int r, int o) {
        return first_row + r < rows && o < out ? dy[static_cast<std::int64_t>(first_row + r) * out + o] : 0.0f;
      },
      [&](int i, int o) {
        return first_input + i < in && o < out ? w[static_cast<std::int64_t>(o) * in + first_input + i] : 0.0f;
      },
      [&](int r, int i, float sum) {
        if (first_row + r >= rows || first_input + i >= in) return;
        float& target = dx[static_cast<std::int64_t>(first_row + r) * in + first_input + i];
        target = accumulate ? target + sum : sum;
      });
}

/// Computes  dw[o, i] = sum_r dy[r, o] x[r, i]
/// Shapes    dy [rows, out], x [rows, in], dw [out, in]; any sizes
/// Mapping   a block owns 64 outputs by 64 inputs, a thread 4 x 4 of them
/// Memory    dy is read in / 64 times, x out / 64 times (L2), dw written once
/// Numerics  f32, r ascending
/// Limits    sizes below 2^31
__global__ void __launch_bounds__(P::kThreads)
    linear_backward_weight_kernel(LinearDims d, const float* dy, const float* x, float* dw) {
  const int rows = static_cast<int>(d.rows), in = static_cast<int>(d.in), out = static_cast<int>(d.out);
  const int first_output = tile_row(blockIdx.y), first_input = tile_row(blockIdx.x);
  multiply_f32_tile<ReadAlong::rows, ReadAlong::rows>(
      rows,
      [&](int o, int r) {
        return first_output + o < out && r < rows ? dy[static_cast<std::int64_t>(r) * out + first_output + o] : 0.0f;
      },
      [&](int i, int r) {
        return first_input + i < in && r < rows ? x[static_cast<std::int64_t>(r) * in + first_input + i] : 0.0f;
      },
      [&](int o, int i, float sum) {
        if (first_output + o >= out || first_input + i >= in) return;
        dw[static_cast<std::int64_t>(first_output + o) * in + first_input + i] = sum;
      });
}

/// Computes  db[o] = sum_r dy[r, o]
/// Shapes    dy [rows, out], db [out]; any sizes
/// Mapping   a block owns 32 outputs
/// Memory    dy is read once, coalesced over outputs
/// Numerics  f32, in the fixed order of column_sum
__global__ void __launch_bounds__(kColumnSumThreads)
    linear_backward_bias_kernel(LinearDims d, const float* dy, float* db) {
  const std::int64_t o = static_cast<std::int64_t>(blockIdx.x) * kColumnSumColumns + column_of_sum();
  const float sum = column_sum(d.rows, [&](std::int64_t r) { return o < d.out ? dy[r * d.out + o] : 0.0f; });
  if (threadIdx.x < kColumnSumColumns && o < d.out) db[o] = sum;
}

}  // namespace

void linear_forward(const LinearDims& d, ProductMath math, const float* x, const float* w, const float* b, float* y,
                    Stream stream) {
  if (math == ProductMath::bf16) return linear_forward_mma(d, x, w, b, y, stream);
  launch("linear_forward", {.grid = {f32_product_tiles(d.out), f32_product_tiles(d.rows)}, .block = P::kThreads},
         stream, linear_forward_kernel, d, x, w, b, y);
}

void linear_backward_data(const LinearDims& d, ProductMath math, const float* dy, const float* w, float* dx,
                          bool accumulate, Stream stream) {
  if (math == ProductMath::bf16) return linear_backward_data_mma(d, dy, w, dx, accumulate, stream);
  launch("linear_backward_data", {.grid = {f32_product_tiles(d.in), f32_product_tiles(d.rows)}, .block = P::kThreads},
         stream, linear_backward_data_kernel, d, dy, w, dx, accumulate);
}

void linear_backward_weight(const LinearDims& d, ProductMath math, const float* dy, const float* x, float* dw,
                            float* db, Stream stream) {
  if (math == ProductMath::bf16) {
    linear_backward_weight_mma(d, dy, x, dw, stream);
  } else {
    launch("linear_backward_weight",
           {.grid = {f32_product_tiles(d.in), f32_product_tiles(d.out)}, .block = P::kThreads}, stream,
           linear_backward_weight_kernel, d, dy, x, dw);
  }
  if (db != nullptr) linear_backward_bias(d, dy, db, stream);
}

void linear_backward_bias(const LinearDims& d, const float* dy, float* db, Stream stream) {
  launch("linear_backward_bias", {.grid = column_sum_blocks(d.out), .block = kColumnSumThreads}, stream,
         linear_backward_bias_kernel, d, dy, db);
}

}  // namespace roap::cuda
