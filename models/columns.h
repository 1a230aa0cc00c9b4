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

/// values [rows, columns], one vector per row.
template <std::ranges::random_access_range Values>
std::vector<std::vector<double>> to_rows(const Values& values, std::size_t columns) {
  std::vector<std::vector<double>> rows;
  for (auto row = std::begin(values); row != std::end(values); row += static_cast<std::ptrdiff_t>(columns)) {
    rows.emplace_back(row, row + static_cast<std::ptrdiff_t>(columns));
  }
  return rows;
}

}  // namespace roap
