#pragma once

#include <cstdint>

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
}  // namespace roap
