#pragma once

#include "kernels/point_max/point_max.h"

// The definition of point_max: plain loops in float or double.

namespace roap::reference {

template <class Real>
void point_max_forward(const PointMaxDims& d, const Real* x, Real* y, std::int32_t* index) {
  for (std::int64_t n = 0; n < d.sets; ++n) {
    for (std::int64_t k = 0; k < d.channels; ++k) {
      std::int64_t winner = 0;
      const auto value = [&](std::int64_t p) { return x[(n * d.points + p) * d.channels + k]; };
      for (std::int64_t p = 1; p < d.points; ++p) winner = value(p) > value(winner) ? p : winner;
      y[n * d.channels + k] = value(winner);
      index[n * d.channels + k] = static_cast<std::int32_t>(winner);
    }
  }
}

template <class Real>
void point_max_backward(const PointMaxDims& d, const Real* dy, const std::int32_t* index, Real* dx, bool accumulate) {
  for (std::int64_t n = 0; n < d.sets; ++n) {
    for (std::int64_t p = 0; p < d.points; ++p) {
      for (std::int64_t k = 0; k < d.channels; ++k) {
        Real& out = dx[(n * d.points + p) * d.channels + k];
        if (!accumulate) out = 0;
        if (index[n * d.channels + k] == p) out += dy[n * d.channels + k];
      }
    }
  }
}

}  // namespace roap::reference
