#pragma once

#include <cstddef>

#include "kernels/conv2d/conv2d_packing.h"
#include "kernels/conv2d/conv2d_taps.h"

// Parts of the device's convolutions; conv2d_cuda.cu puts them together.

namespace roap::cuda {

inline constexpr int kProductColumns = 64;  ///< result channels of a block's tile
inline constexpr int kProductDepth = 64;    ///< source channels multiplied at a time
inline constexpr int kProductStages = 4;    ///< steps whose weights are in shared memory at a time
// The same where warpgroups multiply.
inline constexpr int kWarpgroupColumns = 128;
__host__ __device__ constexpr int warpgroup_stages(int rows) { return rows == 128 ? 3 : 4; }
inline constexpr std::size_t kWarpgroupSumsBytes = 69632;  ///< of shared memory, for the way of sums to the result

/// Rows of a block's tile of a product of matrices: `images` images at each of `rows` x `columns` neighbouring result
/// positions.
struct ProductTile {
  int images = 0, rows = 0, columns = 0;
  /// Whether the sources of each tap are copied on their own, for a tile of one position: for large kernels, whose
  /// sources do not fit into shared memory together.
  bool per_tap = false;
  /// Whether warpgroups multiply (wgmma): tiles of 128 or 256 rows, images a multiple of 64 and at most 256, channels
  /// of the source a multiple of 64, not per_tap; only where conv_has_warpgroups().
  bool warpgroups = false;
  [[nodiscard]] __host__ __device__ int size() const { return images * rows * columns; }
  /// Result channels of a tile.
  [[nodiscard]] __host__ __device__ int channels() const { return warpgroups ? kWarpgroupColumns : kProductColumns; }
  /// Steps whose weights are in shared memory at a time.
  [[nodiscard]] int stages() const { return warpgroups ? warpgroup_stages(size()) : kProductStages; }
};

/// A forward or backward-data pass as a product of matrices on tensor cores.
struct ConvProduct {
  TapAxis y, x;
  int images = 0, depth = 0, channels = 0;  ///< n, channels of the source, channels of the result
  int depth_padded = 0, channels_padded = 0;
  ProductTile tile;
  int source_stages = 0, region_cells = 0;  ///< regions in shared memory and their size
  int channel_blocks = 0, column_blocks = 0, row_blocks = 0, image_blocks = 0;  ///< of the grid, in this order
  [[nodiscard]] std::size_t blocks() const {
    return static_cast<std::size_t>(channel_blocks) * column_blocks * row_blocks * image_blocks;
  }
  /// Of the moments of a result: its tiles.
  [[nodiscard]] int parts() const { return column_blocks * row_blocks * image_blocks; }
};

/// Where forward kernels leave the moments of parts of their results, as these are stored (conv2d_moments.cuh); null
/// where nobody wants them.
struct ConvMoments {
  float* moments = nullptr;  ///< [parts, channels, 2]: mean, sum of squared deviations
  float* rows = nullptr;     ///< [parts]
};

/// The product of a pass with the tile that suits its sizes; `warpgroups`: whether they may multiply.
ConvProduct conv_product(Conv2dPass pass, const Conv2dDims& d, bool warpgroups);
/// The same with a given tile of 64, 128 or 256 rows, images a multiple of 16, rows and columns powers of two; 64 is
/// the only size where channels of the source are no multiple of 8.
ConvProduct conv_product(Conv2dPass pass, const Conv2dDims& d, const ProductTile& tile);
std::size_t shared_bytes(const ConvProduct& p);

/// source [n, sources of y and x, depth] and packed weights -> result [n, results of y and x, channels].
void conv_product_run(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result, bool accumulate,
                      Stream stream, const ConvMoments& moments = {});
/// Whether warpgroups can multiply on the current device, and what conv_product_run does where they do.
bool conv_has_warpgroups();
void conv_product_wgmma_run(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result,
                            bool accumulate, Stream stream, const ConvMoments& moments);

/// A part of the images and positions of a backward-weight pass, whose products are added to the sums of a block while
/// the next one is copied.
struct WeightUnit {
  int images = 0, rows = 0, columns = 0;  ///< `images` is a multiple of 16
  /// Whether warpgroups multiply (wgmma): of one tap, units of 64 images at one position; of many, of 32 or 64 images
  /// and all rows, which stream through shared memory; channels multiples of 8. Only where conv_has_warpgroups().
  bool warpgroups = false;
};

/// A backward-weight pass of one or more convolutions of the same sizes (members) as products of matrices on tensor
/// cores.
struct ConvWeight {
  TapAxis y, x;
  int members = 1;
  int images = 0, inputs = 0, outputs = 0;  ///< n, ci, co
  WeightUnit unit;
  int source_cells = 0;  ///< of the largest unit, or where warpgroups multiply of a row of it
  int image_blocks = 0, column_blocks = 0, row_blocks = 0;
  int units_per_split = 0;
  /// Of the grid, in this order; then come the splits and the members.
  int input_blocks = 0, output_blocks = 0, tap_column_blocks = 0, tap_row_blocks = 0;
  WeightParts parts;  ///< of a member; those of the next one follow
  [[nodiscard]] bool one_tap() const { return y.taps * x.taps == 1; }
  [[nodiscard]] __host__ __device__ int units() const { return image_blocks * column_blocks * row_blocks; }
  [[nodiscard]] std::size_t blocks() const {
    return static_cast<std::size_t>(input_blocks) * output_blocks * tap_column_blocks * tap_row_blocks * parts.splits *
           members;
  }
};

/// Tile of a block: a square of taps, output and input channels.
struct WeightTile {
  int taps_along, outputs, inputs;
  int blocks_per_multiprocessor;
};
inline constexpr WeightTile kManyTaps{3, 64, 64, 1};
inline constexpr WeightTile kOneTap{1, 128, 64, 3};
WeightTile weight_tile(const ConvWeight& p);
/// Rows of x and of dy in shared memory where warpgroups multiply many taps.
inline constexpr int kWeightSourceStages = 4, kWeightResultStages = 2;

/// The pass with the unit and the number of splits that suit its sizes; `warpgroups`: whether they may multiply.
ConvWeight conv_weight(const Conv2dDims& d, int members, bool warpgroups);
/// The same with given ones.
ConvWeight conv_weight(const Conv2dDims& d, int members, const WeightUnit& unit, int splits);
std::size_t shared_bytes(const ConvWeight& p);

/// dy [n, ho, wo, co] and x [n, h, w, ci] of each member.
struct WeightOperands {
  const Bf16 *dy[kMostConv2dMembers] = {}, *x[kMostConv2dMembers] = {};
};
/// operands -> parts.
void conv_weight_run(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream);
/// What conv_weight_run does where warpgroups multiply.
void conv_weight_wgmma_run(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream);

/// Forward and backward weight for few input channels, on tensor cores: the depth of the product is a whole patch of
/// the image, gathered from shared memory. The order of a patch is (ky, kx, i), rows of taps rounded up to even sizes.
struct ConvStem {
  TapAxis y, x;
  int images = 0, inputs = 0, outputs = 0;  ///< n, ci, co
  int tap_row = 0;                          ///< elements of a row of taps: taps ci, rounded up to even
  int depth = 0, depth_padded = 0;          ///< taps tap_row, and rounded up to a multiple of 16
  int rows_log2 = 0, columns_log2 = 0;      ///< output positions of a tile; kStemTile of them in all images
  int patch_rows = 0, patch_pitch = 0;      ///< of the input of one image of a tile; elements of a row
  int column_blocks = 0, row_blocks = 0, image_blocks = 0;
  int tiles_per_block = 0;
  [[nodiscard]] __host__ __device__ int rows() const { return 1 << rows_log2; }
  [[nodiscard]] __host__ __device__ int columns() const { return 1 << columns_log2; }
  [[nodiscard]] __host__ __device__ int tile_images() const;
  [[nodiscard]] __host__ __device__ int tiles() const { return column_blocks * row_blocks * image_blocks; }
  [[nodiscard]] int splits() const { return (tiles() + tiles_per_block - 1) / tiles_per_block; }
};
inline constexpr int kStemTile = 256;
inline int __host__ __device__ ConvStem::tile_images() const { return kStemTile >> (rows_log2 + columns_log2); }

/// The way of computing it, for backward_weight where `backward_weight`, else for forward.
ConvStem conv_stem(const Conv2dDims& d, bool backward_weight);
/// Whether there are few channels and the tiles fit into shared memory.
bool conv_stem_fits(const Conv2dDims& d, bool backward_weight);
std::size_t conv_stem_forward_shared_bytes(const ConvStem& p);
std::size_t conv_stem_weight_shared_bytes(const ConvStem& p);

/// x [n, h, w, ci], w [co, rows, columns, ci] -> y [n, ho, wo, co], and moments of p.splits() parts.
void conv_stem_forward(const Conv2dDims& d, const ConvStem& p, const Bf16* x, const float* w, Bf16* y, Stream stream,
                       const ConvMoments& moments = {});
/// How conv_stem_weight writes its parts.
WeightParts conv_stem_parts(const Conv2dDims& d, const ConvStem& p);
/// dy [n, ho, wo, co], x [n, h, w, ci] -> parts.
void conv_stem_weight(const ConvStem& p, const Bf16* dy, const Bf16* x, float* parts, Stream stream);

}  // namespace roap::cuda
