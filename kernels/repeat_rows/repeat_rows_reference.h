#pragma once

#include "kernels/repeat_rows/repeat_rows.h"

// The definition of repeat_rows: plain loops in float or double.

namespace roap::reference {

template <class Real>
void repeat_rows_forward(const RepeatRowsDims& d, const Real* x, Real* y) {
  for (std::int64_t row = 0; row < d.rows * d.copies; ++row) {
    for (std::int64_t c = 0; c < d.columns; ++c) y[row * d.columns + c] = x[row / d.copies * d.columns + c];
  }
}

template <class Real>
void repeat_rows_backward(const RepeatRowsDims& d, const Real* dy, Real* dx) {
  for (std::int64_t r = 0; r < d.rows; ++r) {
    for (std::int64_t c = 0; c < d.columns; ++c) {
      Real sum{0};
      for (std::int64_t s = 0; s < d.copies; ++s) sum += dy[(r * d.copies + s) * d.columns + c];
      dx[r * d.columns + c] = sum;
    }
  }
}

}  // namespace roap::reference
