#pragma once

#include "kernels/linear/linear.h"

// The products of linear on tensor cores: operands rounded to bf16, sums in f32.

namespace roap::cuda {

/// As in linear.h; linear_backward_weight_mma gives dw alone.
void linear_forward_mma(const LinearDims& d, const float* x, const float* w, const float* b, float* y, Stream stream);
void linear_backward_data_mma(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                              Stream stream);
void linear_backward_weight_mma(const LinearDims& d, const float* dy, const float* x, float* dw, Stream stream);

}  // namespace roap::cuda
