#include "kernels/concat_columns/concat_columns.h"

#include "kernels/common/parallel.h"

// Rows in fixed ranges; every value is copied once.

namespace roap::cpu {

namespace {
constexpr std::int64_t kRowGrain = 64;
}  // namespace

void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y) {
  std::int64_t all_columns = 0;
  for (const auto& part : parts) all_columns += part.columns;
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    float* out = y + begin * all_columns;
    for (std::int64_t r = begin; r < end; ++r) {
      for (const auto& part : parts) out = std::copy_n(part.x + r * part.columns, part.columns, out);
    }
  });
}

void concat_columns_backward(std::int64_t rows, std::int64_t all_columns, std::int64_t first, const float* dy,
                             const ColumnPart<float>& dx, bool accumulate) {
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* row = dy + r * all_columns + first;
      float* out = dx.x + r * dx.columns;
      for (std::int64_t k = 0; k < dx.columns; ++k) out[k] = accumulate ? out[k] + row[k] : row[k];
    }
  });
}

}  // namespace roap::cpu
