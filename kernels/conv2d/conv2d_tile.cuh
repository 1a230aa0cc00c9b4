#pragma once

#include "kernels/common/mma_pieces.cuh"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/conv2d/conv2d_moments.cuh"
#include "kernels/conv2d/conv2d_taps.h"

// What the tensor-core kernels share: pieces of NHWC maps in shared memory, and the way of sums from registers to a
// map.
//
// A region is a rectangle of positions ("cells") of some images: rows (cell, image), image fastest, of kPieces swizzled
// pieces of channels (mma_pieces.cuh). Sixteen neighbouring images of one cell are the rows of an mma operand.

namespace roap::cuda {

/// A map [images, rows, columns, channels] and the part of it that a region holds.
struct RegionSource {
  const Bf16* map;
  int images, rows, columns, channels;
  int first_image, first_channel;
  PositionRange cell_rows, cell_columns;
};

/// Starts the copies of a region of kPieces pieces a row and `block_images` images (a multiple of 16) to `shared`; what
/// lies outside of the map becomes zero. All threads of the block call it. Where kVectors (channels a multiple of 8,
/// map aligned) copies are asynchronous; otherwise they are done element by element.
template <int kPieces, int kThreads, bool kVectors>
__device__ __forceinline__ void load_region(Bf16* shared, const RegionSource& s, int block_images) {
  constexpr int kRowsAtATime = kThreads / kPieces, kRowSize = kPieces * kPiece;
  static_assert(kThreads % kPieces == 0 && kRowsAtATime % 8 == 0 && kRowsAtATime <= 32);
  const int piece = static_cast<int>(threadIdx.x) % kPieces, thread_row = static_cast<int>(threadIdx.x) / kPieces;
  const int channel = s.first_channel + piece * kPiece;
  const int swizzled = (piece ^ thread_row % 8) * kPiece;
  // Threads own images, and where there are fewer images than rows at a time, every other cell.
  const bool two_cells = block_images < kRowsAtATime;
  const int first_column = two_cells ? thread_row / 16 : 0, column_step = two_cells ? 2 : 1;
  for (int image = two_cells ? thread_row % 16 : thread_row; image < block_images; image += kRowsAtATime) {
    const bool inside = s.first_image + image < s.images && channel < s.channels;
    const std::int64_t first_cell = (s.first_image + image) * static_cast<std::int64_t>(s.rows) * s.columns +
                                    s.cell_rows.begin * s.columns + s.cell_columns.begin;
    const Bf16* of_image = inside ? s.map + first_cell * s.channels + channel : s.map;
    const int cell_size = inside ? s.channels : 0;
    for (int row = 0; row < s.cell_rows.size; ++row) {
      for (int column = first_column; column < s.cell_columns.size; column += column_step) {
        const Bf16* from = of_image + static_cast<std::int64_t>(row * s.columns + column) * cell_size;
        const int cell = row * s.cell_columns.size + column;
        Bf16* target = shared + (cell * block_images + image) * kRowSize + swizzled;
        if constexpr (kVectors) {
          ptx::cp_async_16(target, from, inside ? 16 : 0);
        } else {
          store_vector(target, load_scalars(from, inside ? s.channels - channel : 0));
        }
      }
    }
  }
}

/// Shared memory in which a warp turns sums of 16 rows by 8 kTiles columns around: floats, in rows that begin eight
/// banks apart.
template <int kTiles>
struct SumsStage {
  static constexpr int kColumns = 8 * kTiles;
  static constexpr int kPitch = kColumns + 8;
  static constexpr int kFloats = 16 * kPitch;
};

/// Writes the sums of an mma tile row [16][8 kTiles] of one warp to rows of a map, in 16-byte accesses where rows allow
/// it: channels first_channel ... of the row at map + offset(r), for r in [0, 16); nothing where the offset is
/// negative. `stage` holds SumsStage<kTiles>::kFloats floats of this warp alone. What is written is added to `moments`.
template <int kTiles, class Offset>
__device__ __forceinline__ void store_rows(float* stage, const float (&sums)[kTiles][4], Bf16* map, int first_channel,
                                           int channels, bool accumulate, LaneMoments& moments, const Offset& offset) {
  using Stage = SumsStage<kTiles>;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  __syncwarp();  // rows of an earlier tile have been read
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
    float* at = stage + lane / 4 * Stage::kPitch + 8 * j + lane % 4 * 2;
    *reinterpret_cast<float2*>(at) = make_float2(sums[j][0], sums[j][1]);
    *reinterpret_cast<float2*>(at + 8 * Stage::kPitch) = make_float2(sums[j][2], sums[j][3]);
  }
  __syncwarp();
  const int column = lane % kTiles * kPiece, count = min(channels - first_channel - column, kPiece);
  const bool vectors = channels % kPiece == 0;
#pragma unroll
  for (int r = lane / kTiles; r < 16; r += kWarpSize / kTiles) {
    const std::int64_t row = offset(r);
    if (row < 0 || count <= 0) continue;
    Bf16* target = map + row + first_channel + column;
    float x[kPiece], before[kPiece] = {};
    *reinterpret_cast<float4*>(&x[0]) = *reinterpret_cast<const float4*>(stage + r * Stage::kPitch + column);
    *reinterpret_cast<float4*>(&x[4]) = *reinterpret_cast<const float4*>(stage + r * Stage::kPitch + column + 4);
    if (accumulate) to_floats(vectors ? load_vector(target) : load_scalars(target, count), before);
#pragma unroll
    for (int i = 0; i < kPiece; ++i) x[i] += before[i];
    const Vector<Bf16> rounded = from_floats<Bf16>(x);
    vectors ? store_vector(target, rounded) : store_scalars(target, rounded, count);
    moments.add(rounded);
  }
}

}  // namespace roap::cuda
