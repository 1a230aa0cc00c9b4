#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/point_mlp/point_mlp.h"

namespace roap::cpu {

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Cuts a workspace into 64-byte aligned arrays. With a null base it only measures, so that one function describes a
/// layout for both the size and the use.
class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(std::byte* base) : base_(base) {}

  template <class T>
  T* take(std::int64_t count) {
    T* array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + bytes_);
    bytes_ += static_cast<std::size_t>(round_up(count * static_cast<std::int64_t>(sizeof(T)), 64));
    return array;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  std::size_t bytes_ = 0;
};

/// The distinct rows of a batch. Formulas share values: on one pair several hundred tasks have a fraction as many
/// distinct y, and without symbol columns pairs share them too. A block is a range of pairs within which rows are told
/// apart by y alone: one pair, or many where the network sees y only.
struct PointMlpRows {
  std::int64_t blocks = 0, pairs_per_block = 0;
  std::int32_t* row_of = nullptr;       ///< [tasks, pairs]: row of each cell
  std::int32_t* block_begin = nullptr;  ///< [blocks + 1]: first row of each block
  float* y = nullptr;                   ///< [tasks * pairs]: y of each row
  std::int32_t* pair = nullptr;    ///< [tasks * pairs]: pair of each row (of the block's first where it has several)
  std::int32_t* tables = nullptr;  ///< hash tables

  [[nodiscard]] std::int64_t count() const { return block_begin[blocks]; }
};

PointMlpRows take_point_mlp_rows(const PointMlpDims& d, WorkspaceCutter& workspace);
void find_point_mlp_rows(const PointMlpDims& d, const float* y, PointMlpRows& rows);

/// Largest number of rows of one block.
std::int64_t point_mlp_block_rows(const PointMlpDims& d);

}  // namespace roap::cpu
