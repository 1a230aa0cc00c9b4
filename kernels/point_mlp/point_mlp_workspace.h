#pragma once

#include <cstdint>

#include "kernels/common/workspace.h"
#include "kernels/point_mlp/point_mlp.h"

namespace roap::cpu {

/// The distinct rows of a batch. Formulas share values: on one pair several hundred tasks have a fraction as many
/// distinct y, and without symbol columns pairs share them too. A block is a range of pairs within which rows are told
/// apart by y alone: one pair, or many where the network sees y only. Rows of a block stand in ascending y.
struct PointMlpRows {
  std::int64_t blocks = 0, pairs_per_block = 0;
  std::int32_t* row_of = nullptr;       ///< [tasks, pairs]: row of each cell
  std::int32_t* block_begin = nullptr;  ///< [blocks + 1]: first row of each block
  float* y = nullptr;                   ///< [tasks * pairs]: y of each row
  std::int32_t* pair = nullptr;  ///< [tasks * pairs]: pair of each row (of the block's first where it has several)
  std::int32_t* rank = nullptr;  ///< [tasks * pairs]: place in its block of each row in the order of first use
  std::int32_t* segment_begin = nullptr;  ///< first row of each segment, and the number of rows
  std::int32_t* block_segment = nullptr;  ///< [blocks + 1]: first segment of each block
  std::int32_t* tables = nullptr;         ///< hash tables, then keys to sort by

  [[nodiscard]] std::int64_t count() const { return block_begin[blocks]; }
};

PointMlpRows take_point_mlp_rows(const PointMlpDims& d, WorkspaceCutter& workspace);
/// `share`: cells with bitwise equal inputs get one row together.
void find_point_mlp_rows(const PointMlpDims& d, bool share, const float* y, PointMlpRows& rows);

/// Largest number of rows of one block.
std::int64_t point_mlp_block_rows(const PointMlpDims& d);

}  // namespace roap::cpu
