#include "kernels/point_mlp/point_mlp_winners.h"

#include <algorithm>

#include "kernels/common/parallel.h"

// Computes: for every group the distinct rows that won anything, and for each the features it won with the sum of their
// dh. Mapping: one piece per group; a counting sort of its tasks * features winners by row. Numerics: rows ascend;
// entries of a row ascend by feature, and each adds its tasks in order.

namespace roap::cpu {

PointMlpWinners take_point_mlp_winners(const PointMlpDims& d, WorkspaceCutter& workspace) {
  PointMlpWinners winners;
  const std::int64_t entries = d.tasks * d.features;
  winners.row_capacity = std::min(d.cells(), entries);
  winners.entry_capacity = entries;
  winners.count = workspace.take<std::int32_t>(d.groups);
  winners.scratch = workspace.take<std::int32_t>(d.groups * d.cells());
  winners.row = workspace.take<std::int32_t>(d.groups * winners.row_capacity);
  winners.entry_begin = workspace.take<std::int32_t>(d.groups * winners.row_capacity);
  winners.entry_end = workspace.take<std::int32_t>(d.groups * winners.row_capacity);
  winners.entries = workspace.take<PointMlpEntry>(d.groups * entries);
  return winners;
}

namespace {

void find_group_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                        std::int64_t g, PointMlpWinners& winners) {
  std::int32_t* next = winners.scratch + g * d.cells();  // number of entries of a row, then its last entry
  std::int32_t* row = winners.row + g * winners.row_capacity;
  std::int32_t* entry_begin = winners.entry_begin + g * winners.row_capacity;
  std::int32_t* entry_end = winners.entry_end + g * winners.row_capacity;
  PointMlpEntry* entries = winners.entries + g * winners.entry_capacity;
  const auto for_each_winner = [&](auto&& visit) {
    for (std::int64_t f = 0; f < d.features; ++f) {
      for (std::int64_t t = 0; t < d.tasks; ++t) {
        const std::int64_t at = (t * d.groups + g) * d.features + f;
        visit(rows.row_of[t * d.pairs + index[at]], static_cast<std::int32_t>(f), dh[at]);
      }
    }
  };
  std::fill(next, next + rows.count(), 0);
  for_each_winner([&](std::int32_t r, std::int32_t, float) { ++next[r]; });
  std::int32_t count = 0, begin = 0;
  for (std::int32_t r = 0; r < rows.count(); ++r) {
    const std::int32_t size = next[r];
    if (size == 0) continue;
    row[count] = r;
    entry_begin[count++] = begin;
    next[r] = begin;
    entries[begin].feature = -1;
    begin += size;
  }
  winners.count[g] = count;
  for_each_winner([&](std::int32_t r, std::int32_t f, float value) {
    // Features ascend, so that an entry of the same feature can only be the row's last.
    PointMlpEntry* entry = entries + next[r];
    if (entry->feature == f) {
      entry->dh += value;
      return;
    }
    if (entry->feature >= 0) {
      ++next[r];
      ++entry;
    }
    *entry = {f, value};
  });
  for (std::int32_t k = 0; k < count; ++k) entry_end[k] = next[row[k]] + 1;
}

}  // namespace

void find_point_mlp_winners(const PointMlpDims& d, const PointMlpRows& rows, const float* dh, const std::int32_t* index,
                            PointMlpWinners& winners) {
  parallel_for(d.groups, [&](std::int64_t g) { find_group_winners(d, rows, dh, index, g, winners); });
}

}  // namespace roap::cpu
