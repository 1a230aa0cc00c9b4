#pragma once

#include <ranges>
#include <vector>

namespace roap {

/// values [rows, columns] -> [columns, rows], as Expression::evaluate_rows takes them.
template <std::ranges::random_access_range Values>
std::vector<double> to_columns(const Values& values, std::size_t columns) {
  const std::size_t rows = std::size(values) / columns;
  std::vector<double> result(std::size(values));
  for (std::size_t i = 0; i < std::size(values); ++i) result[i % columns * rows + i / columns] = values[i];
  return result;
}

}  // namespace roap
