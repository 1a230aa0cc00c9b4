#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// Linear (fully connected) layer: y[r, o] = sum_i x[r, i] w[o, i] + b[o].
// Gradients: dx = dy w;  dw = dy' x;  db = column sums of dy.

namespace roap {

struct LinearDims {
  std::int64_t rows = 0, in = 0, out = 0;
};

namespace cpu {

/// x [rows, in], w [out, in], b [out] or null -> y [rows, out].
void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y);
/// dy [rows, out], w [out, in] -> dx [rows, in]; added to dx when `accumulate`.
void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate);
/// dy [rows, out], x [rows, in] -> dw [out, in], db [out] or null.
void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y, Stream stream);
void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                          Stream stream);
void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db, Stream stream);

}  // namespace cuda
}  // namespace roap
