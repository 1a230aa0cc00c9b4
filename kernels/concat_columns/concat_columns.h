#pragma once

#include <cstdint>
#include <span>

#include "kernels/common/cuda_types.h"

// Matrices side by side: y[r, :] = [x_0[r, :], x_1[r, :], ...]. Gradient: each input gets its columns of dy.

namespace roap {

/// One input and its number of columns, or the gradient of one: null where nobody wants it, added to when `accumulate`.
template <class T>
struct ColumnPart {
  T* x;  ///< [rows, columns]
  std::int64_t columns;
  bool accumulate = false;
};

namespace cpu {

/// parts [rows, columns of each] -> y [rows, all columns].
void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y);
/// dy [rows, all columns] -> gradients [rows, columns of each].
void concat_columns_backward(std::int64_t rows, std::span<const ColumnPart<float>> gradients, const float* dy);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y, Stream stream);
void concat_columns_backward(std::int64_t rows, std::span<const ColumnPart<float>> gradients, const float* dy,
                             Stream stream);

}  // namespace cuda
}  // namespace roap
