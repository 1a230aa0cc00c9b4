#include "kernels/common/launch.h"
#include "kernels/repeat_rows/repeat_rows.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Index in y of the first copy of element i of x.
__device__ __forceinline__ std::int64_t first_copy(const RepeatRowsDims& d, int i) {
  const int columns = static_cast<int>(d.columns), r = i / columns;
  return (static_cast<std::int64_t>(r) * d.copies) * columns + (i - r * columns);
}

/// Computes  y[r copies + s, c] = x[r, c]
/// Shapes    x [rows, columns], y [rows copies, columns]; any sizes
/// Mapping   a thread owns an element of x
/// Memory    x once, y once, coalesced over columns (rows of 1170 floats have no aligned vectors)
/// Numerics  copies
/// Limits    x of fewer than 2^31 elements
__global__ void __launch_bounds__(kThreads) repeat_rows_forward_kernel(RepeatRowsDims d, const float* x, float* y) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= d.rows * d.columns) return;
  const float value = x[i];
  float* copy = y + first_copy(d, i);
  for (int s = 0; s < d.copies; ++s, copy += d.columns) *copy = value;
}

/// Computes  dx[r, c] = sum_s dy[r copies + s, c]
/// Shapes    dy [rows copies, columns], dx [rows, columns]; any sizes
/// Mapping   a thread owns an element of dx
/// Memory    dy once, dx once, coalesced over columns
/// Numerics  f32, s ascending
/// Limits    x of fewer than 2^31 elements
__global__ void __launch_bounds__(kThreads) repeat_rows_backward_kernel(RepeatRowsDims d, const float* dy, float* dx) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= d.rows * d.columns) return;
  const float* copy = dy + first_copy(d, i);
  float sum = 0;
#pragma unroll 4
  for (int s = 0; s < d.copies; ++s) sum += copy[s * d.columns];
  dx[i] = sum;
}

}  // namespace

void repeat_rows_forward(const RepeatRowsDims& d, const float* x, float* y, Stream stream) {
  launch("repeat_rows_forward", {.grid = blocks_for(d.rows * d.columns, kThreads), .block = kThreads}, stream,
         repeat_rows_forward_kernel, d, x, y);
}

void repeat_rows_backward(const RepeatRowsDims& d, const float* dy, float* dx, Stream stream) {
  launch("repeat_rows_backward", {.grid = blocks_for(d.rows * d.columns, kThreads), .block = kThreads}, stream,
         repeat_rows_backward_kernel, d, dy, dx);
}

}  // namespace roap::cuda
