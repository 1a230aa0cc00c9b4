#pragma once

#include "kernels/linear/linear.h"

// The definition of linear: plain loops in float or double.

namespace roap::reference {

template <class Real>
void linear_forward(const LinearDims& d, const Real* x, const Real* w, const Real* b, Real* y) {
  for (std::int64_t r = 0; r < d.rows; ++r) {
    for (std::int64_t o = 0; o < d.out; ++o) {
      Real sum = b != nullptr ? b[o] : Real{0};
      for (std::int64_t i = 0; i < d.in; ++i) sum += x[r * d.in + i] * w[o * d.in + i];
      y[r * d.out + o] = sum;
    }
  }
}

template <class Real>
void linear_backward_data(const LinearDims& d, const Real* dy, const Real* w, Real* dx, bool accumulate) {
  for (std::int64_t r = 0; r < d.rows; ++r) {
    for (std::int64_t i = 0; i < d.in; ++i) {
      Real sum = accumulate ? dx[r * d.in + i] : Real{0};
      for (std::int64_t o = 0; o < d.out; ++o) sum += dy[r * d.out + o] * w[o * d.in + i];
      dx[r * d.in + i] = sum;
    }
  }
}

template <class Real>
void linear_backward_weight(const LinearDims& d, const Real* dy, const Real* x, Real* dw, Real* db) {
  for (std::int64_t o = 0; o < d.out; ++o) {
    for (std::int64_t i = 0; i < d.in; ++i) {
      Real sum{0};
      for (std::int64_t r = 0; r < d.rows; ++r) sum += dy[r * d.out + o] * x[r * d.in + i];
      dw[o * d.in + i] = sum;
    }
    if (db == nullptr) continue;
    db[o] = 0;
    for (std::int64_t r = 0; r < d.rows; ++r) db[o] += dy[r * d.out + o];
  }
}

}  // namespace roap::reference
