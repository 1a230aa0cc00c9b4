#pragma once

#include "kernels/point_mlp/point_mlp_isa.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

namespace roap::cpu {

/// The rows through which gradients flow. The backward pass is linear in dh, so tasks that share a winning row (same
/// pair, same y) share its backward pass too, and those that it won the same feature of share an entry.
struct PointMlpWinners {
  std::int64_t row_capacity = 0, entry_capacity = 0;  ///< per group
  std::int32_t* count = nullptr;                      ///< [groups]: distinct winning rows
  std::int32_t* row = nullptr;                        ///< [groups, row_capacity]: rows of PointMlpRows
  std::int32_t* entry_begin = nullptr;                ///< [groups, row_capacity]
  std::int32_t* entry_end = nullptr;                  ///< [groups, row_capacity]
  PointMlpEntry* entries = nullptr;                   ///< [groups, entry_capacity]
  std::int32_t* scratch = nullptr;                    ///< [groups, cells]
};

PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace);
void find_point_mlp_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            PointMlpWinners& winners);

}  // namespace roap::cpu
