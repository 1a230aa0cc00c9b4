#pragma once

#include "kernels/concat_columns/concat_columns.h"

// The definition of concat_columns: plain loops in float or double.

namespace roap::reference {

/// Columns [first, first + columns) of y [rows, all_columns] = x [rows, columns].
template <class Real>
void concat_columns_forward(std::int64_t rows, std::int64_t all_columns, std::int64_t first, const Real* x,
                            std::int64_t columns, Real* y) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < columns; ++k) y[r * all_columns + first + k] = x[r * columns + k];
  }
}

template <class Real>
void concat_columns_backward(std::int64_t rows, std::int64_t all_columns, std::int64_t first, const Real* dy,
                             std::int64_t columns, Real* dx, bool accumulate) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < columns; ++k) {
      Real& out = dx[r * columns + k];
      out = (accumulate ? out : Real{0}) + dy[r * all_columns + first + k];
    }
  }
}

}  // namespace roap::reference
