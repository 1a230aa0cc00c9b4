#pragma once

#include <cstdint>
#include <span>

// Matrices side by side: y[r, :] = [x_0[r, :], x_1[r, :], ...]. Gradient: each input gets its columns of dy.

namespace roap::cpu {

/// One input and its number of columns.
template <class T>
struct ColumnPart {
  T* x;  ///< [rows, columns]
  std::int64_t columns;
};

/// parts [rows, columns of each] -> y [rows, all columns].
void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y);
/// dx [rows, columns] = columns [first, first + columns) of dy [rows, all_columns]; added to dx when `accumulate`.
void concat_columns_backward(std::int64_t rows, std::int64_t all_columns, std::int64_t first, const float* dy,
                             const ColumnPart<float>& dx, bool accumulate);

}  // namespace roap::cpu
