#pragma once

#include "kernels/conv2d/conv2d_cuda.h"

// What a block of a backward-weight pass computes, and what it reads for that: the same for all its kernels
// (conv2d_weight_cuda.cu, conv2d_weight_wgmma_cuda.cu).

namespace roap::cuda {

/// What a block owns.
struct WeightBlock {
  int first_input, first_output, first_tap_row, first_tap_column, first_unit, units;
  int member, part;  ///< part: the split's among those of all members
  TapAxis y, x;      ///< with its taps only
};

/// Tile: kTapsAlong, kOutputs and kInputs of a block.
template <class Tile>
__device__ __forceinline__ WeightBlock weight_block(const ConvWeight& p) {
  WeightBlock b;
  int block = static_cast<int>(blockIdx.x);
  b.first_input = block % p.input_blocks * Tile::kInputs;
  block /= p.input_blocks;
  b.first_output = block % p.output_blocks * Tile::kOutputs;
  block /= p.output_blocks;
  b.first_tap_column = block % p.tap_column_blocks * Tile::kTapsAlong;
  block /= p.tap_column_blocks;
  b.first_tap_row = block % p.tap_row_blocks * Tile::kTapsAlong;
  b.part = block / p.tap_row_blocks;
  b.member = b.part / p.parts.splits;
  b.y = tap_window(p.y, b.first_tap_row, Tile::kTapsAlong);
  b.x = tap_window(p.x, b.first_tap_column, Tile::kTapsAlong);
  b.first_unit = b.part % p.parts.splits * p.units_per_split;
  b.units = min(p.units_per_split, p.units() - b.first_unit);
  return b;
}

/// Images and positions of a unit; units of one rectangle of positions follow each other.
struct WeightUnitPlan {
  int rectangle, first_image;
  PositionRange rows, columns, source_rows, source_columns;
};

/// Unit `unit` of the pass, and the sources that the taps of y and x read of it.
__device__ inline WeightUnitPlan weight_unit(const ConvWeight& p, const TapAxis& y, const TapAxis& x, int unit) {
  WeightUnitPlan u;
  u.rectangle = unit / p.image_blocks;
  u.first_image = unit % p.image_blocks * p.unit.images;
  const int row = u.rectangle / p.column_blocks * p.unit.rows, column = u.rectangle % p.column_blocks * p.unit.columns;
  u.rows = {row, min(p.unit.rows, p.y.results - row)};
  u.columns = {column, min(p.unit.columns, p.x.results - column)};
  u.source_rows = y.sources_of(row, u.rows.size);
  u.source_columns = x.sources_of(column, u.columns.size);
  return u;
}

/// Unit number `number` of a block.
__device__ inline WeightUnitPlan weight_unit(const ConvWeight& p, const WeightBlock& b, int number) {
  return weight_unit(p, b.y, b.x, b.first_unit + number);
}

}  // namespace roap::cuda
