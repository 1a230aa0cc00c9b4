#pragma once

#include <cstdint>

#include "kernels/common/parallel.h"

// Symbols of all pairs turned to columns, so that one vector holds one symbol of neighbouring pairs. Columns are padded
// with zero pairs to a multiple of the widest vector; a zero pair adds nothing to any gradient.

namespace roap {

inline constexpr std::int64_t kPairPadding = 16;

/// Distance between two columns of `pairs` values.
inline std::int64_t column_stride(std::int64_t pairs) {
  return (pairs + kPairPadding - 1) / kPairPadding * kPairPadding;
}

/// symbols [pairs, count] -> columns [count, column_stride(pairs)].
inline void symbols_to_columns(std::int64_t pairs, int count, const float* symbols, float* columns) {
  const std::int64_t stride = column_stride(pairs);
  for (int j = 0; j < count; ++j) {
    for (std::int64_t i = 0; i < pairs; ++i) columns[j * stride + i] = symbols[i * count + j];
    for (std::int64_t i = pairs; i < stride; ++i) columns[j * stride + i] = 0.0f;
  }
}

/// Sums the columns [parts, count, column_stride(pairs)] over the parts, in order, into dsymbols [pairs, count]; added
/// to dsymbols when `accumulate`. Uses the first part as the running sum.
inline void add_column_parts(std::int64_t pairs, int count, std::int64_t parts, float* columns, float* dsymbols,
                             bool accumulate) {
  const std::int64_t stride = column_stride(pairs);
  const std::int64_t part_size = count * stride;
  parallel_for(count, [=](std::int64_t j) {
    float* sums = columns + j * stride;
    for (std::int64_t part = 1; part < parts; ++part) {
      const float* terms = sums + part * part_size;
      for (std::int64_t i = 0; i < pairs; ++i) sums[i] += terms[i];
    }
    for (std::int64_t i = 0; i < pairs; ++i) {
      float& target = dsymbols[i * count + j];
      target = accumulate ? target + sums[i] : sums[i];
    }
  });
}

}  // namespace roap
