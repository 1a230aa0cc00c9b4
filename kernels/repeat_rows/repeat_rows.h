#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// Every row `copies` times in a row: y[r copies + s, c] = x[r, c]. Gradient: dx[r, c] = sum_s dy[r copies + s, c], in
// order.

namespace roap {

struct RepeatRowsDims {
  std::int64_t rows = 0, columns = 0, copies = 1;
};

namespace cpu {

/// x [rows, columns] -> y [rows * copies, columns].
void repeat_rows_forward(const RepeatRowsDims& d, const float* x, float* y);
/// dy [rows * copies, columns] -> dx [rows, columns].
void repeat_rows_backward(const RepeatRowsDims& d, const float* dy, float* dx);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void repeat_rows_forward(const RepeatRowsDims& d, const float* x, float* y, Stream stream);
void repeat_rows_backward(const RepeatRowsDims& d, const float* dy, float* dx, Stream stream);

}  // namespace cuda
}  // namespace roap
