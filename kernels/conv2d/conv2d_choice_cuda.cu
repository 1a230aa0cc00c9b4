#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/convert.cuh"
#include "kernels/common/mma_pieces.cuh"
#include "kernels/common/outer_products_wgmma.cuh"
#include "kernels/conv2d/conv2d_product.cuh"

// Which tile a convolution on tensor cores gets: the fastest one by a small model of the card. Host code; the choice
// depends on the sizes and on whether the card has warpgroup products. What decides the bits is the instruction that
// multiplies and, of weights, the unit and the number of splits; of other passes the tile decides those of moments.

namespace roap::cuda {

namespace {

// The model: an H100. Two blocks of a product share a multiprocessor, so that one computes while the other one waits.
constexpr int kMultiprocessors = 132;
constexpr double kBytesPerNs = 40;            // from L2 into one multiprocessor, when all read
constexpr double kFlopPerNs = 3800;           // of mma.sync on one multiprocessor
constexpr double kWarpgroupFlopPerNs = 5200;  // of wgmma: 85 % of what large products reach
constexpr double kBlockNs = 300;              // to start a block and to end it
constexpr double kUnitBytes = 10e3;           // what the barriers between two units cost, in bytes
constexpr double kRowNs = 50;                 // what they cost between two rows of a unit, while others multiply
constexpr std::size_t kProductShared = 113 * 1024;
constexpr std::size_t kMostShared = 226 * 1024;    // of one block, with what it declares itself
constexpr std::size_t kWeightShared = 160 * 1024;  // of all blocks of a multiprocessor; A100 has 164 KiB

int blocks_of(int size, int block) { return (size + block - 1) / block; }

/// What blocks of `block` result positions of an axis need, summed over the blocks.
struct AxisUse {
  int blocks = 0;
  double cells = 0;  ///< source positions read
  double taps = 0;   ///< taps that any of a block's positions uses
  double pairs = 0;  ///< pairs (position, tap) that meet a source
  int most_cells = 0;
  int fewest_taps = 0;  ///< of the blocks that use any
};

AxisUse use_of(const TapAxis& axis, int block) {
  AxisUse use;
  use.blocks = blocks_of(axis.results, block);
  for (int first = 0; first < axis.results; first += block) {
    const int count = std::min(block, axis.results - first);
    const int cells = axis.sources_of(first, count).size;
    int taps = 0;
    for (int tap = 0; tap < axis.taps; ++tap) {
      int positions = 0;
      for (int r = first; r < first + count; ++r) positions += axis.source(r, tap) >= 0 ? 1 : 0;
      taps += positions > 0 ? 1 : 0;
      use.pairs += positions;
    }
    use.cells += cells;
    use.taps += taps;
    use.most_cells = std::max(use.most_cells, cells);
    if (taps > 0) use.fewest_taps = use.fewest_taps == 0 ? taps : std::min(use.fewest_taps, taps);
  }
  return use;
}

/// Calls body(rows, columns) for rectangles of at most `positions` positions, powers of two, that fit the axes.
template <class Body>
void for_each_rectangle(const TapAxis& y, const TapAxis& x, int positions, Body&& body) {
  for (int rows = 1; rows <= positions && rows < 2 * y.results; rows *= 2) {
    for (int columns = 1; rows * columns <= positions && columns < 2 * x.results; columns *= 2) body(rows, columns);
  }
}

double even(int blocks) { return blocks + blocks % 2; }
double waves(double blocks) { return std::ceil(blocks / kMultiprocessors); }

double product_ns(const ConvProduct& p) {
  const AxisUse y = use_of(p.y, p.tile.rows), x = use_of(p.x, p.tile.columns);
  const double tiles = static_cast<double>(p.image_blocks) * p.channel_blocks;
  const double depth = p.depth_padded;
  const double cells = p.tile.per_tap ? y.taps * x.taps : y.cells * x.cells;
  // Blocks of warpgroups come in pairs, which fetch half of their weights each.
  const double blocks = tiles * y.blocks * x.blocks * (p.tile.warpgroups ? even(p.image_blocks) / p.image_blocks : 1);
  const double channels_read = p.tile.channels() / (p.tile.warpgroups ? 2.0 : 1.0);
  const double bytes = 2 * tiles * depth * (cells * p.tile.images + y.taps * x.taps * channels_read);
  const double flop = 2 * tiles * depth * y.pairs * x.pairs * p.tile.images * p.tile.channels();
  const double rate = p.tile.warpgroups ? kWarpgroupFlopPerNs : kFlopPerNs;
  // A block that is alone on its multiprocessor waits for its first sources, and nobody multiplies meanwhile.
  const double first_bytes = shared_bytes(p) > kProductShared ? 2.0 * region_elements(p) : 0;
  return waves(blocks) * (std::max(bytes / kBytesPerNs, flop / rate) / blocks + first_bytes / kBytesPerNs + kBlockNs);
}

/// The splits and the parts for a number of splits that is at most `splits`.
void set_splits(ConvWeight& p, const Conv2dDims& d, int splits) {
  p.units_per_split = blocks_of(p.units(), std::max(1, std::min(splits, p.units())));
  p.parts = live_weight_parts(d, blocks_of(p.units(), p.units_per_split));
}

}  // namespace

ConvProduct conv_product(Conv2dPass pass, const Conv2dDims& d, const ProductTile& tile) {
  const bool transposed = pass == Conv2dPass::backward_data;
  ConvProduct p;
  p.y = tap_axis(vertical_axis(d), transposed);
  p.x = tap_axis(horizontal_axis(d), transposed);
  p.images = static_cast<int>(d.n);
  p.depth = static_cast<int>(transposed ? d.co : d.ci);
  p.channels = static_cast<int>(transposed ? d.ci : d.co);
  p.depth_padded = blocks_of(p.depth, kProductDepth) * kProductDepth;
  p.channels_padded = blocks_of(p.channels, kProductColumns) * kProductColumns;
  p.channel_blocks = blocks_of(p.channels, tile.channels());
  p.tile = tile;
  const AxisUse y = use_of(p.y, tile.rows), x = use_of(p.x, tile.columns);
  p.column_blocks = x.blocks;
  p.row_blocks = y.blocks;
  p.image_blocks = blocks_of(p.images, tile.images);
  p.region_cells = tile.per_tap ? 1 : y.most_cells * x.most_cells;
  // Copies run stages - 1 steps ahead of the products: so many chunks of channels are in use at a time.
  const int fewest_taps = std::max(1, y.fewest_taps * x.fewest_taps);
  const int chunks = std::min(p.depth_padded / kProductDepth, 1 + blocks_of(tile.stages() - 1, fewest_taps));
  p.source_stages = tile.per_tap ? tile.stages() : chunks;
  return p;
}

std::size_t shared_bytes(const ConvProduct& p) {
  const std::size_t regions = static_cast<std::size_t>(p.source_stages) * region_elements(p);
  const std::size_t weights = static_cast<std::size_t>(p.tile.stages()) * p.tile.channels() * kProductDepth;
  const std::size_t bytes = sizeof(Bf16) * (regions + weights) + sizeof(int) * list_size(p);
  return p.tile.warpgroups ? std::max(bytes, kWarpgroupSumsBytes) : bytes;
}

ConvProduct conv_product(Conv2dPass pass, const Conv2dDims& d, bool warpgroups) {
  ConvProduct best = conv_product(pass, d, {64, 1, 1, true});
  double best_ns = product_ns(best);
  const auto consider = [&](const ProductTile& tile) {
    const ConvProduct p = conv_product(pass, d, tile);
    if (shared_bytes(p) > (tile.warpgroups ? kMostShared : kProductShared)) return;
    const double ns = product_ns(p);
    if (ns >= best_ns) return;
    best = p;
    best_ns = ns;
  };
  for (const int size : {256, 128, 64}) {
    if (size != 64 && best.depth % 8 != 0) continue;
    consider({size, 1, 1, true});
    for_each_rectangle(best.y, best.x, size / 16, [&](int rows, int columns) {
      consider({size / (rows * columns), rows, columns});
    });
    if (!warpgroups || size == 64 || best.depth % kProductDepth != 0) continue;
    for_each_rectangle(best.y, best.x, size / 64, [&](int rows, int columns) {
      consider({size / (rows * columns), rows, columns, false, true});
    });
  }
  return best;
}

namespace {

/// Input cells along an axis that `block` positions read for one window of taps, at most.
int most_source_cells(const TapAxis& axis, int taps_along, int block) {
  int cells = 0;
  for (int tap = 0; tap < axis.taps; tap += taps_along) {
    cells = std::max(cells, use_of(tap_window(axis, tap, taps_along), block).most_cells);
  }
  return cells;
}

}  // namespace

WeightTile weight_tile(const ConvWeight& p) {
  if (!p.one_tap()) return kManyTaps;
  return p.unit.warpgroups ? WeightTile{1, kOuterOutputs, outer_inputs(p.inputs), 1} : kOneTap;
}

std::size_t shared_bytes(const ConvWeight& p) {
  const WeightTile tile = weight_tile(p);
  const std::size_t positions = static_cast<std::size_t>(p.unit.rows) * p.unit.columns;
  if (p.unit.warpgroups) {
    if (p.one_tap()) return outer_shared_bytes(p.inputs);
    const std::size_t cells = kWeightSourceStages * p.source_cells + kWeightResultStages * p.unit.columns;
    return sizeof(Bf16) * p.unit.images * cells * tile.inputs;
  }
  const std::size_t stage = p.unit.images * (positions * tile.outputs + p.source_cells * tile.inputs);
  return 2 * sizeof(Bf16) * stage + sizeof(int) * positions * (tile.taps_along * tile.taps_along + 1);
}

ConvWeight conv_weight(const Conv2dDims& d, int members, const WeightUnit& unit, int splits) {
  ConvWeight p;
  p.members = members;
  p.y = tap_axis(vertical_axis(d), false);
  p.x = tap_axis(horizontal_axis(d), false);
  p.images = static_cast<int>(d.n);
  p.inputs = static_cast<int>(d.ci);
  p.outputs = static_cast<int>(d.co);
  p.unit = unit;
  const bool streams = unit.warpgroups && !p.one_tap();
  if (streams) p.unit.rows = p.y.results;
  const WeightTile tile = weight_tile(p);
  p.source_cells = most_source_cells(p.x, tile.taps_along, unit.columns);
  if (!streams) p.source_cells *= most_source_cells(p.y, tile.taps_along, unit.rows);
  p.image_blocks = blocks_of(p.images, unit.images);
  p.column_blocks = blocks_of(p.x.results, p.unit.columns);
  p.row_blocks = blocks_of(p.y.results, p.unit.rows);
  p.input_blocks = blocks_of(p.inputs, tile.inputs);
  p.output_blocks = blocks_of(p.outputs, tile.outputs);
  if (unit.warpgroups && p.one_tap()) p.output_blocks = static_cast<int>(outer_blocks(p.outputs));
  p.tap_column_blocks = blocks_of(p.x.taps, tile.taps_along);
  p.tap_row_blocks = blocks_of(p.y.taps, tile.taps_along);
  set_splits(p, d, splits);
  return p;
}

namespace {

/// Splits with which the blocks of a pass fill the card once.
int splits_to_fill(const ConvWeight& p) {
  const int blocks = static_cast<int>(p.blocks()) / p.parts.splits;
  return std::max(1, kMultiprocessors * weight_tile(p).blocks_per_multiprocessor / blocks);
}

/// Bytes that a block reads for a unit.
double unit_bytes(const ConvWeight& p) {
  const WeightTile tile = weight_tile(p);
  const double rows = p.unit.rows, columns = p.unit.columns, images = p.unit.images;
  if (!p.unit.warpgroups) return 2 * images * (rows * columns * tile.outputs + p.source_cells * tile.inputs);
  if (p.one_tap()) return 2 * images * (tile.outputs + tile.inputs / 2.0);  // half of x comes from the other block
  const double source_rows = p.y.sources_of(0, p.y.results).size;
  return 2 * images * (rows * columns * tile.outputs + source_rows * p.source_cells * tile.inputs);
}

double weight_ns(const ConvWeight& p) {
  const WeightTile tile = weight_tile(p);
  const double at_once = tile.blocks_per_multiprocessor, blocks = static_cast<double>(p.blocks());
  const double pairs = use_of(p.y, 1).pairs * use_of(p.x, 1).pairs * p.image_blocks * p.unit.images;
  const double flop = 2 * pairs * p.input_blocks * tile.inputs * p.output_blocks * tile.outputs * p.members;
  const double bytes = p.units_per_split * (unit_bytes(p) + (p.unit.warpgroups ? 0 : kUnitBytes));
  const double rate = p.unit.warpgroups ? kWarpgroupFlopPerNs : kFlopPerNs;
  const double rows_ns = p.unit.warpgroups && !p.one_tap() ? kRowNs * p.unit.rows * p.units_per_split : 0;
  // Written and read.
  const double parts_bytes = 2.0 * sizeof(float) * static_cast<double>(p.parts.elements()) * p.members;
  return waves(blocks / at_once) *
             (at_once * std::max(bytes / kBytesPerNs, flop / rate / blocks) + rows_ns + kBlockNs) +
         parts_bytes / kBytesPerNs / kMultiprocessors;
}

/// The fastest pass of those where every warp multiplies on its own.
ConvWeight weight_of_warps(const Conv2dDims& d, int members) {
  ConvWeight best = conv_weight(d, members, {16, 1, 1}, 1);
  const WeightTile tile = weight_tile(best);
  const int splits = splits_to_fill(best);
  double best_cost = std::numeric_limits<double>::infinity();
  for (const int images : {16, 32, 64, 128}) {
    for_each_rectangle(best.y, best.x, 64, [&](int rows, int columns) {
      const ConvWeight p = conv_weight(d, members, {images, rows, columns}, splits);
      if (shared_bytes(p) * tile.blocks_per_multiprocessor > kWeightShared) return;
      const double cost = p.units_per_split * (unit_bytes(p) + kUnitBytes);  // what a block reads
      if (cost >= best_cost) return;
      best = p;
      best_cost = cost;
    });
  }
  set_splits(best, d, splits);
  return best;
}

}  // namespace

ConvWeight conv_weight(const Conv2dDims& d, int members, bool warpgroups) {
  ConvWeight best = weight_of_warps(d, members);
  if (!warpgroups || d.ci % kPiece != 0 || d.co % kPiece != 0) return best;
  double best_ns = weight_ns(best);
  const auto consider = [&](const WeightUnit& unit) {
    ConvWeight p = conv_weight(d, members, unit, 1);
    if (shared_bytes(p) > kMostShared) return;
    set_splits(p, d, splits_to_fill(p));
    const double ns = weight_ns(p);
    if (ns >= best_ns) return;
    best = p;
    best_ns = ns;
  };
  if (best.one_tap()) {
    consider({kOuterDepth, 1, 1, true});
    return best;
  }
  for (const int images : {32, 64}) {
    for_each_rectangle(TapAxis{.results = 1}, best.x, 64, [&](int rows, int columns) {
      consider({images, rows, columns, true});
    });
  }
  return best;
}

ConvStem conv_stem(const Conv2dDims& d, bool backward_weight) {
  ConvStem p;
  p.y = tap_axis(vertical_axis(d), false);
  p.x = tap_axis(horizontal_axis(d), false);
  p.images = static_cast<int>(d.n);
  p.inputs = static_cast<int>(d.ci);
  p.outputs = static_cast<int>(d.co);
  p.tap_row = blocks_of(p.x.taps * p.inputs, 2) * 2;
  p.depth = p.y.taps * p.tap_row;
  p.depth_padded = blocks_of(p.depth, 16) * 16;
  const auto log2 = [](int size, int most) {
    int log = 0;
    while (log < most && 1 << log < size) ++log;
    return log;
  };
  constexpr int kTileLog2 = 8;
  static_assert(kStemTile == 1 << kTileLog2);
  p.columns_log2 = log2(p.x.results, 4);
  p.rows_log2 = log2(p.y.results, kTileLog2 - p.columns_log2);
  p.patch_rows = (p.rows() - 1) * p.y.stride + p.y.taps;
  // A row of a patch, and one more element that the padding of a row of taps may touch.
  p.patch_pitch = blocks_of(((p.columns() - 1) * p.x.stride + p.x.taps) * p.inputs + 1, 2) * 2;
  p.column_blocks = blocks_of(p.x.results, p.columns());
  p.row_blocks = blocks_of(p.y.results, p.rows());
  p.image_blocks = blocks_of(p.images, p.tile_images());
  constexpr int kChannels = 64, kPlaces = 160;  // of a block
  const int parts = blocks_of(p.outputs, kChannels) * (backward_weight ? blocks_of(p.depth, kPlaces) : 1);
  p.tiles_per_block = blocks_of(p.tiles(), std::max(1, 2 * kMultiprocessors / parts));
  return p;
}

bool conv_stem_fits(const Conv2dDims& d, bool backward_weight) {
  constexpr std::int64_t kFewChannels = 8, kMostTaps = 1024;
  if (d.ci >= kFewChannels || d.kh * d.kw > kMostTaps) return false;
  const ConvStem p = conv_stem(d, backward_weight);
  return (backward_weight ? conv_stem_weight_shared_bytes(p) : conv_stem_forward_shared_bytes(p)) <= kProductShared;
}

}  // namespace roap::cuda
