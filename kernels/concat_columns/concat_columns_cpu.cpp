#include "kernels/concat_columns/concat_columns.h"

#include "kernels/common/parallel.h"

// Rows in fixed ranges; every value is copied once.

namespace roap::cpu {

namespace {
constexpr std::int64_t kRowGrain = 64;

template <class Part>
std::int64_t columns_of(std::span<const Part> parts) {
  std::int64_t columns = 0;
  for (const Part& part : parts) columns += part.columns;
  return columns;
}
}  // namespace

void concat_columns_forward(std::int64_t rows, std::span<const ColumnPart<const float>> parts, float* y) {
  const std::int64_t all_columns = columns_of(parts);
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    float* out = y + begin * all_columns;
    for (std::int64_t r = begin; r < end; ++r) {
      for (const auto& part : parts) out = std::copy_n(part.x + r * part.columns, part.columns, out);
    }
  });
}

void concat_columns_backward(std::int64_t rows, std::span<const ColumnPart<float>> gradients, const float* dy) {
  const std::int64_t all_columns = columns_of(gradients);
  parallel_ranges(rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    const float* row = dy + begin * all_columns;
    for (std::int64_t r = begin; r < end; ++r) {
      for (const ColumnPart<float>& part : gradients) {
        float* out = part.x != nullptr ? part.x + r * part.columns : nullptr;
        for (std::int64_t k = 0; out != nullptr && k < part.columns; ++k)
          out[k] = part.accumulate ? out[k] + row[k] : row[k];
        row += part.columns;
      }
    }
  });
}

}  // namespace roap::cpu
