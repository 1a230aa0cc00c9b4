#pragma once

#include <cstdint>

namespace roap {

/// A rectangle of the taps of a convolution's kernel: rows [first_row, first_row + rows), and columns alike.
struct TapWindow {
  std::int64_t first_row = 0, first_column = 0, rows = 0, columns = 0;
  [[nodiscard]] std::int64_t count() const { return rows * columns; }
  bool operator==(const TapWindow&) const = default;
};

}  // namespace roap
