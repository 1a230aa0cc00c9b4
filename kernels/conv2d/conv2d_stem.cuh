#pragma once

#include "kernels/conv2d/conv2d_cuda.h"
#include "kernels/conv2d/conv2d_tile.cuh"

// What both kernels for few input channels share: a tile of 256 output positions and its input, in shared memory.
//
// Row m of a tile is the output position (image, row, column) with columns in the lowest bits of m. A patch element
// that belongs to row m and place k of the depth lies at row_base(m) + depth_offset(k) of the tile's input.

namespace roap::cuda {

/// Number `tile`'s first image and output position.
struct StemTile {
  int image, row, column;
};

__device__ __forceinline__ StemTile stem_tile(const ConvStem& p, int tile) {
  const int position = tile % (p.row_blocks * p.column_blocks);
  return {tile / (p.row_blocks * p.column_blocks) * p.tile_images(), position / p.column_blocks * p.rows(),
          position % p.column_blocks * p.columns()};
}

/// The image and output position of row m.
__device__ __forceinline__ StemTile stem_row(const ConvStem& p, const StemTile& tile, int m) {
  return {tile.image + (m >> (p.rows_log2 + p.columns_log2)), tile.row + (m >> p.columns_log2 & (p.rows() - 1)),
          tile.column + (m & (p.columns() - 1))};
}
/// Where the row's channels begin in a map [images, results, channels]; -1 for a row beyond it.
__device__ __forceinline__ std::int64_t stem_row_offset(const ConvStem& p, const StemTile& tile, int m) {
  const StemTile at = stem_row(p, tile, m);
  if (at.image >= p.images || at.row >= p.y.results || at.column >= p.x.results) return -1;
  return ((static_cast<std::int64_t>(at.image) * p.y.results + at.row) * p.x.results + at.column) * p.outputs;
}

__host__ __device__ __forceinline__ int stem_patch_elements(const ConvStem& p) {
  return p.tile_images() * p.patch_rows * p.patch_pitch;
}
__device__ __forceinline__ int stem_row_base(const ConvStem& p, int m) {
  const StemTile at = stem_row(p, {0, 0, 0}, m);
  return (at.image * p.patch_rows + at.row * p.y.stride) * p.patch_pitch + at.column * p.x.stride * p.inputs;
}
__device__ __forceinline__ int stem_depth_offset(const ConvStem& p, int k) {
  const int place = k < p.depth ? k : 0;
  return place / p.tap_row * p.patch_pitch + place % p.tap_row;
}

/// Reads a tile's input, zero outside of the image; put(index, value) gets every element, rows padded to patch_pitch.
template <int kThreads, class Put>
__device__ __forceinline__ void load_stem_patch(const ConvStem& p, const StemTile& tile, const Bf16* x,
                                                const Put& put) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int rows = p.tile_images() * p.patch_rows, row_size = p.x.sources * p.inputs;
  const int first = (tile.column * p.x.stride - p.x.padding) * p.inputs;
  for (int r = static_cast<int>(threadIdx.x) / kWarpSize; r < rows; r += kThreads / kWarpSize) {
    const int image = tile.image + r / p.patch_rows;
    const int y = tile.row * p.y.stride - p.y.padding + r % p.patch_rows;
    const bool inside = image < p.images && y >= 0 && y < p.y.sources;
    const Bf16* row = inside ? x + (static_cast<std::int64_t>(image) * p.y.sources + y) * row_size : x;
#pragma unroll 4
    for (int e = lane; e < p.patch_pitch; e += kWarpSize) {
      const int at = first + e;
      put(r * p.patch_pitch + e, inside && at >= 0 && at < row_size ? row[at] : from_float<Bf16>(0.0f));
    }
  }
}

}  // namespace roap::cuda
