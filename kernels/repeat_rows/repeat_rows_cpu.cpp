#include "kernels/repeat_rows/repeat_rows.h"

#include "kernels/common/parallel.h"

// Mapping: a piece owns kRowGrain input rows. Memory: each element is read and written once.

namespace roap::cpu {

namespace {
constexpr std::int64_t kRowGrain = 8;
}

void repeat_rows_forward(const RepeatRowsDims& d, const float* x, float* y) {
  parallel_ranges(d.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin * d.copies; row < end * d.copies; ++row) {
      std::copy_n(x + row / d.copies * d.columns, d.columns, y + row * d.columns);
    }
  });
}

void repeat_rows_backward(const RepeatRowsDims& d, const float* dy, float* dx) {
  parallel_ranges(d.rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* sum = dx + r * d.columns;
      std::copy_n(dy + r * d.copies * d.columns, d.columns, sum);
      for (std::int64_t s = 1; s < d.copies; ++s) {
        const float* part = dy + (r * d.copies + s) * d.columns;
        for (std::int64_t c = 0; c < d.columns; ++c) sum[c] += part[c];
      }
    }
  });
}

}  // namespace roap::cpu
