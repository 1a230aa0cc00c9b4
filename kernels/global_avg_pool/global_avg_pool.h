#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// Global average pooling of images NHWC: y[n, c] = mean over the pixels p of x[n, p, c]. Gradient: dx[n, p, c] = dy[n,
// c] / pixels.

namespace roap {

struct GlobalAvgPoolDims {
  std::int64_t n = 0, pixels = 0, c = 0;
};

namespace cpu {

/// x [n, pixels, c] -> y [n, c].
void global_avg_pool_forward(const GlobalAvgPoolDims& d, const float* x, float* y);
/// dy [n, c] -> dx [n, pixels, c]; added to dx when `accumulate`.
void global_avg_pool_backward(const GlobalAvgPoolDims& d, const float* dy, float* dx, bool accumulate);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device. T, the type of x and dx, is float or Bf16.
template <class T>
void global_avg_pool_forward(const GlobalAvgPoolDims& d, const T* x, float* y, Stream stream);
template <class T>
void global_avg_pool_backward(const GlobalAvgPoolDims& d, const float* dy, T* dx, bool accumulate, Stream stream);

}  // namespace cuda
}  // namespace roap
