#pragma once

#include "kernels/common/reduce.cuh"
#include "kernels/conv2d/conv2d_cuda.h"

// What a block of a forward or backward-data product computes, and which cells of its sources the positions of its tile
// read for every tap: the same for both kernels (conv2d_product_cuda.cu, conv2d_product_wgmma_cuda.cu).

namespace roap::cuda {

/// Some rows of a tile: 16 or 64 images, number `group` of those of the tile, at one position.
struct RowTile {
  int group, row, column;
};
/// Number `tile` of a block; positions column by column, then groups of images.
__device__ __forceinline__ RowTile row_tile(const ConvProduct& p, int tile) {
  const int rows_log2 = __ffs(p.tile.rows) - 1, positions_log2 = rows_log2 + __ffs(p.tile.columns) - 1;
  const int position = tile & ((1 << positions_log2) - 1);
  return {tile >> positions_log2, position & (p.tile.rows - 1), position >> rows_log2};
}

/// The part of a block, and its lists in shared memory.
struct ProductBlock {
  int first_channel, first_image, first_row, first_column;
  int part;  ///< of the moments
  PositionRange source_rows, source_columns;
  int *row_cells, *column_cells;  ///< [tap][row of the tile]: first cell of the region's row; [tap][column]; -1: none
  int *used_rows, *used_columns;  ///< taps that any position of the tile uses; behind them their number

  [[nodiscard]] __device__ int rows_used(const ConvProduct& p) const { return used_rows[p.y.taps]; }
  [[nodiscard]] __device__ int columns_used(const ConvProduct& p) const { return used_columns[p.x.taps]; }
  /// The cell of the region that a tap of a position reads, or -1.
  [[nodiscard]] __device__ __forceinline__ int cell(const ConvProduct& p, const RowTile& at, int tap_row,
                                                    int tap_column) const {
    const int of_row = row_cells[tap_row * p.tile.rows + at.row];
    const int of_column = column_cells[tap_column * p.tile.columns + at.column];
    return of_row >= 0 && of_column >= 0 ? of_row + of_column : -1;
  }
};

__host__ __device__ inline int region_elements(const ConvProduct& p) {
  return p.region_cells * p.tile.images * kProductDepth;
}

/// Ints of the lists of a block.
__host__ __device__ inline int list_size(const ConvProduct& p) {
  return p.y.taps * (p.tile.rows + 1) + p.x.taps * (p.tile.columns + 1) + 2;
}

/// `lists` is shared memory for list_size ints, filled by make_lists.
__device__ __forceinline__ ProductBlock product_block(const ConvProduct& p, int channel_block, int column_block,
                                                      int row_block, int image_block, int* lists) {
  ProductBlock b;
  b.first_channel = channel_block * p.tile.channels();
  b.part = (image_block * p.row_blocks + row_block) * p.column_blocks + column_block;
  b.first_column = column_block * p.tile.columns;
  b.first_row = row_block * p.tile.rows;
  b.first_image = image_block * p.tile.images;
  b.source_rows = p.y.sources_of(b.first_row, min(p.tile.rows, p.y.results - b.first_row));
  b.source_columns = p.x.sources_of(b.first_column, min(p.tile.columns, p.x.results - b.first_column));
  b.row_cells = lists;
  b.column_cells = b.row_cells + p.y.taps * p.tile.rows;
  b.used_rows = b.column_cells + p.x.taps * p.tile.columns;
  b.used_columns = b.used_rows + p.y.taps + 1;
  return b;
}

/// One warp fills the lists of an axis for results [first, first + count), count <= 16: cells[tap][i] = where the
/// source of result first + i lies in `range`, times `scale`, or -1.
__device__ inline void list_axis(const TapAxis& axis, int first, int count, const PositionRange& range, int scale,
                                 int* cells, int* used) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  int number = 0;
#pragma unroll 1
  for (int tap = 0; tap < axis.taps; ++tap) {
    const int source = lane < count && first + lane < axis.results ? axis.source(first + lane, tap) : -1;
    if (lane < count) cells[tap * count + lane] = source < 0 ? -1 : (source - range.begin) * scale;
    if (__ballot_sync(kAllLanes, source >= 0) == 0) continue;
    if (lane == 0) used[number] = tap;
    ++number;
  }
  if (lane == 0) used[axis.taps] = number;
}

/// All threads of the block call it.
__device__ inline void make_lists(const ConvProduct& p, const ProductBlock& b) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int row_scale = p.tile.per_tap ? 0 : b.source_columns.size, column_scale = p.tile.per_tap ? 0 : 1;
  if (warp == 0) list_axis(p.y, b.first_row, p.tile.rows, b.source_rows, row_scale, b.row_cells, b.used_rows);
  if (warp == 1) {
    list_axis(p.x, b.first_column, p.tile.columns, b.source_columns, column_scale, b.column_cells, b.used_columns);
  }
  __syncthreads();
}

}  // namespace roap::cuda
