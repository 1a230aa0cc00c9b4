#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "kernels/common/host_device.h"

// Where the logits of one task's program lie in a row [P]: the one place that knows. The same layout holds for the
// sampled weights z and all gradients. Operators are ordered add, sub, mul, no-op.

namespace roap {

inline constexpr int kOperators = 4;

/// Straight-line program: operators [lines, 4], then left arguments, then right arguments. Line l (from 0) chooses each
/// argument among symbols + l earlier values, so both argument blocks are ragged by line.
struct StraightLineLayout {
  int symbols = 0;
  int lines = 0;

  /// Number of values that line l can read.
  [[nodiscard]] ROAP_HOST_DEVICE constexpr int choices(int line) const { return symbols + line; }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t operators(int line) const {
    return std::int64_t{kOperators} * line;
  }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t left(int line) const {
    return operators(lines) + arguments_before(line);
  }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t right(int line) const {
    return left(lines) + arguments_before(line);
  }
  /// P, the number of logits of a task.
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t count() const { return right(lines); }
  /// Sizes of the categorical groups in the order of the row.
  [[nodiscard]] std::vector<int> group_sizes() const {
    std::vector<int> sizes(static_cast<std::size_t>(lines), kOperators);
    for (int side = 0; side < 2; ++side) {
      for (int line = 0; line < lines; ++line) sizes.push_back(choices(line));
    }
    return sizes;
  }
  bool operator==(const StraightLineLayout&) const = default;

 private:
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t arguments_before(int line) const {
    return std::int64_t{symbols} * line + std::int64_t{line} * (line - 1) / 2;
  }
};

/// Full binary syntax tree: operators of the inner nodes, breadth first [2^depth - 1, 4], then leaves [2^depth,
/// symbols]. Node n has the children 2n + 1 and 2n + 2; leaf i is node inner_nodes() + i.
struct TreeLayout {
  int symbols = 0;
  int depth = 0;

  [[nodiscard]] ROAP_HOST_DEVICE constexpr int inner_nodes() const { return (1 << depth) - 1; }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr int leaf_nodes() const { return 1 << depth; }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr int nodes() const { return inner_nodes() + leaf_nodes(); }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t operators(int node) const {
    return std::int64_t{kOperators} * node;
  }
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t leaf(int index) const {
    return operators(inner_nodes()) + std::int64_t{symbols} * index;
  }
  /// P, the number of logits of a task.
  [[nodiscard]] ROAP_HOST_DEVICE constexpr std::int64_t count() const { return leaf(leaf_nodes()); }
  /// Sizes of the categorical groups in the order of the row.
  [[nodiscard]] std::vector<int> group_sizes() const {
    std::vector<int> sizes(static_cast<std::size_t>(inner_nodes()), kOperators);
    sizes.insert(sizes.end(), static_cast<std::size_t>(leaf_nodes()), symbols);
    return sizes;
  }
  bool operator==(const TreeLayout&) const = default;
};

using SketchLayout = std::variant<StraightLineLayout, TreeLayout>;

}  // namespace roap
