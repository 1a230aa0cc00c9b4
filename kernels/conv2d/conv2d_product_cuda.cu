#include "kernels/common/launch.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/conv2d/conv2d_cuda.h"
#include "kernels/conv2d/conv2d_product.cuh"
#include "kernels/conv2d/conv2d_tile.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kPieces = kProductDepth / kPiece;
constexpr int kWeightElements = kProductColumns * kProductDepth;

/// How the four warps of a block share its tile: a warp owns kTilesM mma rows by kTilesN mma columns.
template <int kTilesM_, int kTilesN_, int kWarpsM_>
struct WarpTiles {
  static constexpr int kTilesM = kTilesM_, kTilesN = kTilesN_, kWarpsM = kWarpsM_;
  static constexpr int kRows = 16 * kTilesM * kWarpsM;
  /// Of a multiprocessor: bounds the registers.
  static constexpr int kMinBlocks = kRows == 256 ? 2 : kRows == 128 ? 3 : 4;
  static_assert(8 * kTilesN * (kThreads / kWarpSize / kWarpsM) == kProductColumns);
};
using Tiles256 = WarpTiles<4, 8, 4>;
using Tiles128 = WarpTiles<2, 8, 4>;
using Tiles64 = WarpTiles<2, 4, 2>;

/// The part of a block. A step multiplies kProductDepth channels of one used tap.
struct BlockPlan : ProductBlock {
  Bf16 *regions, *weights;
};

__device__ BlockPlan plan_block(const ConvProduct& p) {
  auto* regions = dynamic_shared<Bf16>();
  auto* weights = regions + p.source_stages * region_elements(p);
  const int block = static_cast<int>(blockIdx.x);
  return {
      product_block(p, block % p.channel_blocks, block / p.channel_blocks, static_cast<int>(blockIdx.y),
                    static_cast<int>(blockIdx.z), reinterpret_cast<int*>(weights + kProductStages * kWeightElements)),
      regions, weights};
}

/// Counts steps: taps of a row of taps, rows of taps, then chunks of channels; `region` is the stage of shared memory
/// with the step's sources.
struct StepCounter {
  int y = 0, x = 0, chunk = 0, region = 0;
  __device__ __forceinline__ void advance(const ConvProduct& p, int rows, int columns) {
    bool next_region = p.tile.per_tap;
    if (++x >= columns) {
      x = 0;
      if (++y >= rows) {
        y = 0;
        ++chunk;
        next_region = true;
      }
    }
    if (next_region && ++region == p.source_stages) region = 0;
  }
};

template <bool kVectors>
__device__ __forceinline__ void load_sources(const ConvProduct& p, const BlockPlan& b, const StepCounter& s,
                                             const PositionRange& rows, const PositionRange& columns,
                                             const Bf16* source) {
  const RegionSource region{source, p.images, p.y.sources, p.x.sources, p.depth, b.first_image, s.chunk * kProductDepth,
                            rows,   columns};
  load_region<kPieces, kThreads, kVectors>(b.regions + s.region * region_elements(p), region, p.tile.images);
}

/// Starts the copies of step number `step`: its weights and, when it is the first to need them, its sources; those of
/// the first chunk are on their way already.
template <bool kVectors>
__device__ __forceinline__ void load_step(const ConvProduct& p, const BlockPlan& b, const StepCounter& s, int step,
                                          const Bf16* source, const Bf16* weights) {
  const int tap_row = b.used_rows[s.y], tap_column = b.used_columns[s.x];
  if (p.tile.per_tap) {
    load_sources<kVectors>(p, b, s, {p.y.source(b.first_row, tap_row), 1}, {p.x.source(b.first_column, tap_column), 1},
                           source);
  } else if (s.y == 0 && s.x == 0 && step > 0) {
    load_sources<kVectors>(p, b, s, b.source_rows, b.source_columns, source);
  }
  constexpr int kRowsAtATime = kThreads / kPieces;
  const int piece = static_cast<int>(threadIdx.x) % kPieces, row = static_cast<int>(threadIdx.x) / kPieces;
  const int tap = tap_row * p.x.taps + tap_column;
  Bf16* target = b.weights + step % kProductStages * kWeightElements + row * kProductDepth + (piece ^ row % 8) * kPiece;
  const Bf16* from = weights +
                     (static_cast<std::int64_t>(tap) * p.channels_padded + b.first_channel + row) * p.depth_padded +
                     s.chunk * kProductDepth + piece * kPiece;
#pragma unroll
  for (int i = 0; i < kProductColumns / kRowsAtATime; ++i) {
    ptx::cp_async_16(target + i * kRowsAtATime * kProductDepth,
                     from + static_cast<std::int64_t>(i) * kRowsAtATime * p.depth_padded);
  }
}

/// Adds one step's products to the sums of a warp. Rows of the tile whose position does not use the tap are skipped.
template <class Tiles>
__device__ __forceinline__ void multiply_step(float (&sums)[Tiles::kTilesM][Tiles::kTilesN][4], const ConvProduct& p,
                                              const BlockPlan& b, const StepCounter& s, int step) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const Bf16* region = b.regions + s.region * region_elements(p);
  const Bf16* weights = b.weights + step % kProductStages * kWeightElements;
  const int column = warp / Tiles::kWarpsM * 8 * Tiles::kTilesN;
  int first_row[Tiles::kTilesM];  // of the region, -1: the position does not use the tap
#pragma unroll
  for (int i = 0; i < Tiles::kTilesM; ++i) {
    const RowTile tile = row_tile(p, warp % Tiles::kWarpsM * Tiles::kTilesM + i);
    const int cell = b.cell(p, tile, b.used_rows[s.y], b.used_columns[s.x]);
    first_row[i] = cell >= 0 ? cell * p.tile.images + tile.group * 16 : -1;
  }
  // Operands of the next 16 channels are read while those of the present ones are multiplied.
  constexpr int kPairs = Tiles::kTilesN / 2, kPairsPerTile = kPairs / Tiles::kTilesM;
  static_assert(kPairs % Tiles::kTilesM == 0);
  std::uint32_t a[Tiles::kTilesM][4], w[2][kPairs][4];
  const auto load_a = [&](int i, int k) {
    ptx::ldmatrix_x4(a[i], rows_first<kPieces>(region, first_row[i], k / kPiece));
  };
  const auto load_w = [&](int j, int k) {
    ptx::ldmatrix_x4(w[k / 16 % 2][j], pieces_first<kPieces>(weights, column + 16 * j, k / kPiece));
  };
#pragma unroll
  for (int j = 0; j < kPairs; ++j) load_w(j, 0);
#pragma unroll
  for (int i = 0; i < Tiles::kTilesM; ++i) {
    if (first_row[i] >= 0) load_a(i, 0);
  }
#pragma unroll
  for (int k = 0; k < kProductDepth; k += 16) {
    const bool more = k + 16 < kProductDepth;
#pragma unroll
    for (int i = 0; i < Tiles::kTilesM; ++i) {
#pragma unroll
      for (int j = 0; j < kPairsPerTile; ++j) {
        if (more) load_w(i * kPairsPerTile + j, k + 16);
      }
      if (first_row[i] < 0) continue;
#pragma unroll
      for (int j = 0; j < Tiles::kTilesN; ++j) {
        const std::uint32_t(&of_pair)[4] = w[k / 16 % 2][j / 2];
        ptx::mma_m16n8k16(sums[i][j], a[i], of_pair[j % 2 * 2], of_pair[j % 2 * 2 + 1]);
      }
      if (more) load_a(i, k + 16);
    }
  }
}

template <class Tiles>
__device__ __forceinline__ void store_sums(const float (&sums)[Tiles::kTilesM][Tiles::kTilesN][4], const ConvProduct& p,
                                           const BlockPlan& b, Bf16* result, bool accumulate, const ConvMoments& out) {
  using Stage = SumsStage<Tiles::kTilesN>;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  float* stage = dynamic_shared<float>() + warp * Stage::kFloats;
  LaneMoments moments(out.moments != nullptr);
  const int channel = b.first_channel + warp / Tiles::kWarpsM * 8 * Tiles::kTilesN;
#pragma unroll
  for (int i = 0; i < Tiles::kTilesM; ++i) {
    const RowTile tile = row_tile(p, warp % Tiles::kWarpsM * Tiles::kTilesM + i);
    const int row = b.first_row + tile.row, column = b.first_column + tile.column;
    if (row >= p.y.results || column >= p.x.results) continue;
    store_rows<Tiles::kTilesN>(stage, sums[i], result, channel, p.channels, accumulate, moments, [&](int r) {
      const int image = b.first_image + tile.group * 16 + r;
      const auto position = (static_cast<std::int64_t>(image) * p.y.results + row) * p.x.results + column;
      return image < p.images ? position * p.channels : -1;
    });
  }
  if (out.moments == nullptr) return;
  moments.keep<Tiles::kTilesN>(stage);
  __syncthreads();
  write_moments<Tiles::kTilesN, Tiles::kWarpsM, kThreads / kWarpSize / Tiles::kWarpsM>(
      out, b.part, dynamic_shared<float>(), Stage::kFloats, b.first_channel, p.channels);
}

/// Computes  result[n, r, o] (+)= sum over taps and i of source[n, source of (r, tap), i] weights[tap][o][i]
/// Shapes    source [images, sources, depth], weights [taps][channels_padded][depth_padded], result [images, results,
///           channels]; any sizes
/// Mapping   a block owns kRows rows (16 or more images at each position of a rectangle) by 64 channels; a warp whole
///           positions, so that it skips taps that meet padding, for 64 or 32 channels
/// Memory    a block reads the rectangle's sources once (not once per tap), into shared memory, and the weights of the
///           used taps in a ring of 4 stages, one step of 64 channels each; result written once. Layer 1 of ResNet-18
///           at 3072 images: 768 blocks read 0.13 MB from L2 for 16 MFLOP, 120 FLOP/B; bound by the issue of mma
/// Numerics  bf16 products, f32 sums: chunks of 64 channels, then taps, then channels, ascending; one rounding. Moments
///           are those of the rounded results of a tile
/// Limits    a result map and a tile's sources have fewer than 2^31 elements an image
template <class Tiles, bool kVectors>
__global__ void __launch_bounds__(kThreads, Tiles::kMinBlocks)
    conv2d_product_kernel(ConvProduct p, const Bf16* source, const Bf16* weights, Bf16* result, bool accumulate,
                          ConvMoments moments) {
  const BlockPlan b = plan_block(p);
  if (!p.tile.per_tap) load_sources<kVectors>(p, b, {}, b.source_rows, b.source_columns, source);
  make_lists(p, b);
  const int rows = b.rows_used(p), columns = b.columns_used(p);
  const int steps = rows * columns * (p.depth_padded / kProductDepth);
  float sums[Tiles::kTilesM][Tiles::kTilesN][4] = {};
  StepCounter next, now;
  const auto load_next = [&](int step) {
    if (step < steps) load_step<kVectors>(p, b, next, step, source, weights);
    next.advance(p, rows, columns);
    ptx::cp_async_commit();
  };
  for (int step = 0; step < kProductStages - 1; ++step) load_next(step);
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait_group<kProductStages - 2>();
    __syncthreads();  // this step's copies have landed, and nobody reads the stage of the step before
    load_next(step + kProductStages - 1);
    multiply_step<Tiles>(sums, p, b, now, step);
    now.advance(p, rows, columns);
  }
  ptx::cp_async_wait_group<0>();
  __syncthreads();  // shared memory is free for the sums
  store_sums<Tiles>(sums, p, b, result, accumulate, moments);
}

template <class Tiles, bool kVectors>
void launch_product(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result, bool accumulate,
                    Stream stream, const ConvMoments& moments) {
  const dim3 grid(static_cast<unsigned>(p.channel_blocks * p.column_blocks), static_cast<unsigned>(p.row_blocks),
                  static_cast<unsigned>(p.image_blocks));
  launch(p.y.transposed ? "conv2d_backward_data" : "conv2d_forward",
         {.grid = grid, .block = kThreads, .shared_bytes = shared_bytes(p)}, stream,
         conv2d_product_kernel<Tiles, kVectors>, p, source, weights, result, accumulate, moments);
}

}  // namespace

void conv_product_run(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result, bool accumulate,
                      Stream stream, const ConvMoments& moments) {
  if (p.tile.warpgroups) return conv_product_wgmma_run(p, source, weights, result, accumulate, stream, moments);
  if (p.depth % kPiece != 0)
    return launch_product<Tiles64, false>(p, source, weights, result, accumulate, stream, moments);
  switch (p.tile.size()) {
    case 64:
      return launch_product<Tiles64, true>(p, source, weights, result, accumulate, stream, moments);
    case 128:
      return launch_product<Tiles128, true>(p, source, weights, result, accumulate, stream, moments);
    default:
      return launch_product<Tiles256, true>(p, source, weights, result, accumulate, stream, moments);
  }
}

}  // namespace roap::cuda
