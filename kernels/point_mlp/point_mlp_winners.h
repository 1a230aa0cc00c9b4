#pragma once

#include "kernels/point_mlp/point_mlp_isa.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

namespace roap::cpu {

/// The rows through which gradients flow. Tasks that share a winning row (same pair, same y) share its backward pass:
/// the pass is linear in dh, so their entries are simply all listed under the row.
struct PointMlpWinners {
  std::int64_t row_capacity = 0, entry_capacity = 0;  ///< per group
  std::int32_t* count = nullptr;                      ///< [groups]: distinct winning rows
  std::int32_t* slot = nullptr;                       ///< [groups, cells]: scratch of the sort
  std::int32_t* row = nullptr;                        ///< [groups, row_capacity]: rows of PointMlpRows
  std::int32_t* entry_begin = nullptr;                ///< [groups, row_capacity + 1]
  PointMlpEntry* entries = nullptr;                   ///< [groups, entry_capacity]
};

PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace);
void find_point_mlp_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            PointMlpWinners& winners);

}  // namespace roap::cpu
