#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/common/parallel.h"
#include "kernels/point_mlp/point_mlp_workspace.h"

// Computes: the distinct rows of a batch and the row of every cell (task, pair).
// Mapping: a piece owns a range of blocks and one hash table (open addressing, linear probing, at most half full).
// Memory: y is read once; rows are written per block, sorted, then moved together.
// Numerics: values are compared by their bits, so the saving is exact. Segments are cut by the number of distinct
// values, whether rows are shared or not.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTables = 16;
constexpr std::int64_t kBlockCells = 32768;   // where rows depend on y alone; bounds the memory of the results
constexpr std::int64_t kSegmentValues = 128;  // so that one block can be several pieces

std::int64_t pairs_per_block(const PointMlpDims& d) {
  return d.in > 1 ? 1 : std::clamp<std::int64_t>(kBlockCells / d.tasks, 1, d.pairs);
}

std::int64_t table_size(const PointMlpDims& d) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(2 * point_mlp_block_rows(d))));
}

/// Rows of one block, numbered from 0, into y; returns how many.
std::int32_t find_block_rows(const PointMlpDims& d, const float* y, std::int64_t first, std::int64_t last,
                             std::int32_t* row_of, float* row_y, std::int32_t* table, std::int64_t size) {
  const std::uint64_t mask = static_cast<std::uint64_t>(size) - 1;
  const int shift = 32 - std::countr_zero(static_cast<std::uint64_t>(size));
  std::fill(table, table + size, -1);
  std::int32_t count = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = first; i < last; ++i) {
      const float value = y[t * d.pairs + i];
      const auto bits = std::bit_cast<std::uint32_t>(value);
      std::uint64_t slot = (bits * 2654435769u) >> shift;
      while (table[slot] >= 0 && std::bit_cast<std::uint32_t>(row_y[table[slot]]) != bits) slot = (slot + 1) & mask;
      if (table[slot] < 0) {
        table[slot] = count;
        row_y[count++] = value;
      }
      row_of[t * d.pairs + i] = table[slot];
    }
  }
  return count;
}

/// A row for every cell of the block.
std::int32_t take_every_cell(const PointMlpDims& d, const float* y, std::int64_t first, std::int64_t last,
                             std::int32_t* row_of, float* row_y) {
  std::int32_t count = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t i = first; i < last; ++i) {
      row_y[count] = y[t * d.pairs + i];
      row_of[t * d.pairs + i] = count++;
    }
  }
  return count;
}

/// Sorts the rows of a block by y (NaN at the ends) and writes where each went. `table` is free for keys.
void sort_block_rows(std::int32_t count, float* row_y, std::int32_t* rank, std::int32_t* table) {
  auto* keys = reinterpret_cast<std::uint64_t*>(table);  // ascending bits of y, then the old place
  constexpr std::uint32_t kSign = 0x80000000u;
  for (std::int32_t r = 0; r < count; ++r) {
    const auto bits = std::bit_cast<std::uint32_t>(row_y[r]);
    const std::uint32_t ascending = (bits & kSign) != 0 ? ~bits : bits | kSign;
    keys[r] = std::uint64_t{ascending} << 32 | static_cast<std::uint32_t>(r);
  }
  std::sort(keys, keys + count);
  for (std::int32_t place = 0; place < count; ++place) {
    const auto ascending = static_cast<std::uint32_t>(keys[place] >> 32);
    row_y[place] = std::bit_cast<float>((ascending & kSign) != 0 ? ascending ^ kSign : ~ascending);
    rank[keys[place] & 0xffffffffu] = place;
  }
}

/// Cuts every block's rows into segments of kSegmentValues distinct values.
void cut_segments(PointMlpRows& rows) {
  std::int32_t segments = 0;
  for (std::int64_t b = 0; b < rows.blocks; ++b) {
    rows.block_segment[b] = segments;
    std::int64_t values = 0;
    for (std::int32_t r = rows.block_begin[b]; r < rows.block_begin[b + 1]; ++r) {
      const bool same = r > rows.block_begin[b] &&
                        std::bit_cast<std::uint32_t>(rows.y[r]) == std::bit_cast<std::uint32_t>(rows.y[r - 1]);
      if (!same && values++ % kSegmentValues == 0) rows.segment_begin[segments++] = r;
    }
  }
  rows.block_segment[rows.blocks] = segments;
  rows.segment_begin[segments] = rows.block_begin[rows.blocks];
}

}  // namespace

std::int64_t point_mlp_block_rows(const PointMlpDims& d) { return d.tasks * pairs_per_block(d); }

PointMlpRows take_point_mlp_rows(const PointMlpDims& d, WorkspaceCutter& workspace) {
  PointMlpRows rows;
  rows.pairs_per_block = pairs_per_block(d);
  rows.blocks = pieces_of(d.pairs, rows.pairs_per_block);
  rows.row_of = workspace.take<std::int32_t>(d.cells());
  rows.block_begin = workspace.take<std::int32_t>(rows.blocks + 1);
  rows.y = workspace.take<float>(d.cells());
  rows.pair = workspace.take<std::int32_t>(d.cells());
  rows.rank = workspace.take<std::int32_t>(d.cells());
  rows.segment_begin = workspace.take<std::int32_t>(d.cells() / kSegmentValues + rows.blocks + 1);
  rows.block_segment = workspace.take<std::int32_t>(rows.blocks + 1);
  rows.tables = workspace.take<std::int32_t>(std::min(kTables, rows.blocks) * table_size(d));
  return rows;
}

void find_point_mlp_rows(const PointMlpDims& d, bool share, const float* y, PointMlpRows& rows) {
  const std::int64_t size = table_size(d);
  const std::int64_t blocks_per_table = pieces_of(rows.blocks, std::min(kTables, rows.blocks));
  parallel_ranges(rows.blocks, blocks_per_table, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t first = b * rows.pairs_per_block;
      const std::int64_t last = std::min(d.pairs, first + rows.pairs_per_block);
      std::int32_t* table = rows.tables + begin / blocks_per_table * size;
      float* row_y = rows.y + first * d.tasks;
      rows.block_begin[b + 1] = share ? find_block_rows(d, y, first, last, rows.row_of, row_y, table, size)
                                      : take_every_cell(d, y, first, last, rows.row_of, row_y);
      sort_block_rows(rows.block_begin[b + 1], row_y, rows.rank + first * d.tasks, table);
    }
  });
  rows.block_begin[0] = 0;
  for (std::int64_t b = 0; b < rows.blocks; ++b) {
    const std::int32_t begin = rows.block_begin[b], count = rows.block_begin[b + 1];
    const std::int64_t first = b * rows.pairs_per_block;
    std::memmove(rows.y + begin, rows.y + first * d.tasks, static_cast<std::size_t>(count) * sizeof(float));
    std::fill(rows.pair + begin, rows.pair + begin + count, static_cast<std::int32_t>(first));
    rows.block_begin[b + 1] = begin + count;
  }
  cut_segments(rows);
  constexpr std::int64_t kTaskGrain = 64;
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::int32_t* row_of = rows.row_of + t * d.pairs;
      for (std::int64_t b = 0; b < rows.blocks; ++b) {
        const std::int64_t first = b * rows.pairs_per_block;
        const std::int64_t last = std::min(d.pairs, first + rows.pairs_per_block);
        const std::int32_t* rank = rows.rank + first * d.tasks;
        for (std::int64_t i = first; i < last; ++i) row_of[i] = rows.block_begin[b] + rank[row_of[i]];
      }
    }
  });
}

}  // namespace roap::cpu
