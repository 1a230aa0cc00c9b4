#include "kernels/point_mlp/point_mlp_winners.h"

#include <algorithm>

#include "kernels/common/parallel.h"

// Computes: for every group the distinct rows that won anything, and for each the features it won with their dh.
// Mapping: one piece per group; a counting sort of its tasks * features winners by row.
// Numerics: rows ascend; entries of a row stand in the order of (task, feature).

namespace roap::cpu {

PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace) {
  PointMlpWinners winners;
  const std::int64_t entries = d.tasks * d.features;
  winners.row_capacity = std::min(d.cells(), entries);
  winners.entry_capacity = entries;
  winners.count = workspace.take<std::int32_t>(d.groups);
  winners.slot = workspace.take<std::int32_t>(d.groups * d.cells());
  winners.row = workspace.take<std::int32_t>(d.groups * winners.row_capacity);
  winners.entry_begin = workspace.take<std::int32_t>(d.groups * (winners.row_capacity + 1));
  winners.entries = workspace.take<PointMlpEntry>(d.groups * entries);
  return winners;
}

namespace {

void find_group_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                        std::int64_t g, PointMlpWinners& winners) {
  std::int32_t* slot = winners.slot + g * d.cells();  // entries of a row, then where its next entry goes
  std::int32_t* row = winners.row + g * winners.row_capacity;
  std::int32_t* entry_begin = winners.entry_begin + g * (winners.row_capacity + 1);
  PointMlpEntry* entries = winners.entries + g * winners.entry_capacity;
  const auto for_each_winner = [&](auto&& visit) {
    for (std::int64_t t = 0; t < d.tasks; ++t) {
      const std::int64_t at = (t * d.groups + g) * d.features;
      for (std::int64_t f = 0; f < d.features; ++f) visit(rows.row_of[t * d.pairs + index[at + f]], f, dh[at + f]);
    }
  };
  std::fill(slot, slot + rows.count(), 0);
  for_each_winner([&](std::int32_t r, std::int64_t, float) { ++slot[r]; });
  std::int32_t count = 0, begin = 0;
  for (std::int32_t r = 0; r < rows.count(); ++r) {
    const std::int32_t size = slot[r];
    if (size == 0) continue;
    row[count] = r;
    entry_begin[count++] = begin;
    slot[r] = begin;
    begin += size;
  }
  entry_begin[count] = begin;
  winners.count[g] = count;
  for_each_winner([&](std::int32_t r, std::int64_t f, float value) {
    entries[slot[r]++] = {static_cast<std::int32_t>(f), value};
  });
}

}  // namespace

void find_point_mlp_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            PointMlpWinners& winners) {
  parallel_for(d.groups, [&](std::int64_t g) { find_group_winners(d, rows, dh, index, g, winners); });
}

}  // namespace roap::cpu
