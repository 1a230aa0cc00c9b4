#pragma once

#include "kernels/global_avg_pool/global_avg_pool.h"

// The definition of global_avg_pool: plain loops in float or double.

namespace roap::reference {

template <class Real>
void global_avg_pool_forward(const GlobalAvgPoolDims& d, const Real* x, Real* y) {
  for (std::int64_t n = 0; n < d.n; ++n) {
    for (std::int64_t j = 0; j < d.c; ++j) {
      Real sum = 0;
      for (std::int64_t p = 0; p < d.pixels; ++p) sum += x[(n * d.pixels + p) * d.c + j];
      y[n * d.c + j] = sum / static_cast<Real>(d.pixels);
    }
  }
}

template <class Real>
void global_avg_pool_backward(const GlobalAvgPoolDims& d, const Real* dy, Real* dx, bool accumulate) {
  for (std::int64_t k = 0; k < d.n * d.pixels * d.c; ++k) {
    const Real share = dy[k / (d.pixels * d.c) * d.c + k % d.c] / static_cast<Real>(d.pixels);
    dx[k] = accumulate ? dx[k] + share : share;
  }
}

}  // namespace roap::reference
