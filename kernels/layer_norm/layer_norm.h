#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"

// Layer normalisation (Ba et al. 2016), with an optional ReLU behind it:
//   xhat[r, k] = (x[r, k] - mean[r]) * rstd[r], rstd = 1 / sqrt(variance + epsilon), both over the columns of a row;
//   y = gamma * xhat + beta, and y = max(y, 0) with relu.
// Gradients, with g = dy where y > 0 (or dy without relu) and u = gamma * g:
//   dx = rstd * (u - mean(u) - xhat * mean(u * xhat));  dgamma = sum over rows of g * xhat;  dbeta = sum over rows of
//   g.

namespace roap {

struct LayerNormDims {
  std::int64_t rows = 0, columns = 0;
  bool relu = false;
  float epsilon = 1e-5f;
};

namespace cpu {

/// x [rows, columns], gamma, beta [columns] -> y [rows, columns], mean, rstd [rows].
void layer_norm_forward(const LayerNormDims& d, const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd);

/// Scratch memory of layer_norm_backward in bytes.
std::size_t layer_norm_backward_workspace(const LayerNormDims& d);
/// dy, y (relu only), x [rows, columns], gamma [columns], mean, rstd [rows] -> dx [rows, columns] (added when
/// `accumulate`), dgamma, dbeta [columns]; null outputs are skipped.
void layer_norm_backward(const LayerNormDims& d, const float* dy, const float* y, const float* x, const float* gamma,
                         const float* mean, const float* rstd, float* dx, bool accumulate, float* dgamma, float* dbeta,
                         float* workspace);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void layer_norm_forward(const LayerNormDims& d, const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd, Stream stream);
std::size_t layer_norm_backward_workspace(const LayerNormDims& d);
void layer_norm_backward(const LayerNormDims& d, const float* dy, const float* y, const float* x, const float* gamma,
                         const float* mean, const float* rstd, float* dx, bool accumulate, float* dgamma, float* dbeta,
                         float* workspace, Stream stream);

}  // namespace cuda
}  // namespace roap
