#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// Maximum over a set: y[n, k] = max over points p of x[n, p, k]; index[n, k] = the point that wins, the lowest one in a
// tie. Gradient: dx[n, index[n, k], k] = dy[n, k], zero elsewhere.

namespace roap {

struct PointMaxDims {
  std::int64_t sets = 0, points = 0, channels = 0;
};

namespace cpu {

/// x [sets, points, channels] -> y, index [sets, channels].
void point_max_forward(const PointMaxDims& d, const float* x, float* y, std::int32_t* index);
/// dy, index [sets, channels] -> dx [sets, points, channels]; added to dx when `accumulate`.
void point_max_backward(const PointMaxDims& d, const float* dy, const std::int32_t* index, float* dx, bool accumulate);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void point_max_forward(const PointMaxDims& d, const float* x, float* y, std::int32_t* index, Stream stream);
void point_max_backward(const PointMaxDims& d, const float* dy, const std::int32_t* index, float* dx, bool accumulate,
                        Stream stream);

}  // namespace cuda
}  // namespace roap
