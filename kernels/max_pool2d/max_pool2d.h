#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// 2-D max pooling of images NHWC: y[n, oy, ox, c] = max over taps (ky, kx) of x[n, oy s + ky - p, ox s + kx - p, c]
// inside the image. `winner` holds the tap ky kernel + kx of the maximum, the lowest one of equal values; the first NaN
// wins. Gradient: dx gets dy at the winners.

namespace roap {

struct MaxPool2dParams {
  std::int64_t kernel = 3, stride = 2, padding = 1;
};

/// padding <= kernel / 2, so that every window meets the image; kernel <= 15, so that a tap fits into a byte.
struct MaxPool2dDims {
  std::int64_t n = 0, h = 0, w = 0, c = 0;
  MaxPool2dParams params;
  [[nodiscard]] std::int64_t ho() const { return (h + 2 * params.padding - params.kernel) / params.stride + 1; }
  [[nodiscard]] std::int64_t wo() const { return (w + 2 * params.padding - params.kernel) / params.stride + 1; }
};

namespace cpu {

/// x [n, h, w, c] -> y [n, ho, wo, c], winner [n, ho, wo, c].
void max_pool2d_forward(const MaxPool2dDims& d, const float* x, float* y, std::uint8_t* winner);
/// dy, winner [n, ho, wo, c] -> dx [n, h, w, c]; added to dx when `accumulate`.
void max_pool2d_backward(const MaxPool2dDims& d, const float* dy, const std::uint8_t* winner, float* dx,
                         bool accumulate);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device. T, the type of x, y and their gradients, is float or Bf16.
template <class T>
void max_pool2d_forward(const MaxPool2dDims& d, const T* x, T* y, std::uint8_t* winner, Stream stream);
template <class T>
void max_pool2d_backward(const MaxPool2dDims& d, const T* dy, const std::uint8_t* winner, T* dx, bool accumulate,
                         Stream stream);

}  // namespace cuda
}  // namespace roap
