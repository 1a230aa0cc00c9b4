#include "kernels/common/hopper.h"
#include "kernels/common/launch.h"
#include "kernels/common/ptx/barrier.h"
#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/stage_ring.cuh"
#include "kernels/common/tensor_map.h"
#include "kernels/conv2d/conv2d_product.cuh"
#include "kernels/conv2d/conv2d_tile.cuh"

// Forward and backward data by wgmma (sm_90a). Seen as a matrix [images, cells and channels], a map has the sources of
// 64 neighbouring images at a cell in one box of the copy engine, which is operand A of a product as it lands. The two
// blocks of a cluster compute the same results of different images: each fetches half of the weights for both.

namespace roap::cuda {

namespace {

constexpr int kGroup = 128, kConsumers = 2;  // threads of a warpgroup; warpgroups that multiply
constexpr int kConsumerThreads = kGroup * kConsumers, kConsumerWarps = kConsumerThreads / kWarpSize;
constexpr int kThreads = kConsumerThreads + kWarpSize;  // and one warp whose first lane copies
constexpr int kCluster = 2, kGroupImages = 64;
constexpr int kColumns = kWarpgroupColumns;
constexpr std::uint32_t kRowBytes = sizeof(Bf16) * kProductDepth;
constexpr int kMostStages = 4;
constexpr std::uint32_t kConsumersMet = 1;  // a named barrier
static_assert(kConsumerWarps * SumsStage<kColumns / 8>::kFloats * sizeof(float) == kWarpgroupSumsBytes);

/// Products of 64 images at a position by kColumns channels that a consumer owns.
template <int kTilesM_>
struct WarpgroupTiles {
  static constexpr int kTilesM = kTilesM_;
  static constexpr int kMinBlocks = kTilesM == 1 ? 2 : 1;  ///< of a multiprocessor: bounds the registers
  static constexpr int kStages = warpgroup_stages(kConsumers * kTilesM * kGroupImages);
  static_assert(kStages <= kMostStages);
  using Sums = float[kTilesM][kColumns / 2];
};

/// A stage of weights is full when both halves have landed and empty when the consumers of both blocks have read it,
/// because half of it comes from the other block. Regions are a block's own.
struct Barriers {
  std::uint64_t full[kMostStages], empty[kMostStages], region_full[kMostStages], region_empty[kMostStages];

  __device__ void init() {
    for (int i = 0; i < kMostStages; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], kCluster * kConsumers);
      ptx::mbarrier_init(&region_full[i], 1);
      ptx::mbarrier_init(&region_empty[i], kConsumers);
    }
    ptx::mbarrier_fence_init();
  }
};

struct BlockPlan : ProductBlock {
  Bf16 *regions, *weights;

  [[nodiscard]] __device__ __forceinline__ Bf16* region(const ConvProduct& p, int stage) const {
    return regions + stage * region_elements(p);
  }
  [[nodiscard]] __device__ __forceinline__ Bf16* stage(int i) const { return weights + i * kColumns * kProductDepth; }
};

__device__ BlockPlan plan_block(const ConvProduct& p, int stages) {
  auto* regions = dynamic_shared<Bf16>();
  auto* weights = regions + p.source_stages * region_elements(p);
  const int block = static_cast<int>(blockIdx.y);
  return {
      product_block(p, block % p.channel_blocks, block / p.channel_blocks, static_cast<int>(blockIdx.z),
                    static_cast<int>(blockIdx.x), reinterpret_cast<int*>(weights + stages * kColumns * kProductDepth)),
      regions, weights};
}

/// Calls region(chunk of channels) and, for every tap that the block uses, step(chunk, row of taps, column).
template <class Region, class Step>
__device__ __forceinline__ void for_each_step(const ConvProduct& p, const BlockPlan& b, const Region& region,
                                              const Step& step) {
  const int rows = b.rows_used(p), columns = b.columns_used(p);
  if (rows * columns == 0) return;
#pragma unroll 1
  for (int chunk = 0; chunk < p.depth_padded / kProductDepth; ++chunk) {
    region(chunk);
#pragma unroll 1
    for (int y = 0; y < rows; ++y) {
#pragma unroll 1
      for (int x = 0; x < columns; ++x) step(chunk, b.used_rows[y], b.used_columns[x], y + x + 2 == rows + columns);
    }
  }
}

/// One thread keeps copying: the regions of its block, and its half of the weights for both blocks.
__device__ __forceinline__ void copy_operands(const ConvProduct& p, const BlockPlan& b, int stages,
                                              const CUtensorMap& sources, const CUtensorMap& weights,
                                              Barriers& barriers) {
  constexpr int kHalf = kColumns / kCluster;
  const int half = static_cast<int>(ptx::cluster_rank()) * kHalf;
  const int cells = b.source_rows.size * b.source_columns.size;
  StageRing ring, regions;
  for_each_step(
      p, b,
      [&](int chunk) {
        std::uint64_t* full = &barriers.region_full[regions.stage];
        ptx::mbarrier_wait(&barriers.region_empty[regions.stage], regions.parity ^ 1);
        ptx::mbarrier_arrive_expect_tx(full, static_cast<std::uint32_t>(cells * p.tile.images) * kRowBytes);
        Bf16* target = b.region(p, regions.stage);
#pragma unroll 1
        for (int cell = 0; cell < cells; ++cell, target += p.tile.images * kProductDepth) {
          const int row = b.source_rows.begin + cell / b.source_columns.size;
          const int column = b.source_columns.begin + cell % b.source_columns.size;
          ptx::tensor_copy_2d(target, &sources, b.first_image,
                              (row * p.x.sources + column) * p.depth + chunk * kProductDepth, full);
        }
        regions.advance(p.source_stages);
      },
      [&](int chunk, int tap_row, int tap_column, bool /*last*/) {
        std::uint64_t* full = &barriers.full[ring.stage];
        ptx::mbarrier_wait(&barriers.empty[ring.stage], ring.parity ^ 1);
        ptx::mbarrier_arrive_expect_tx(full, kColumns * kRowBytes);
        // Rows behind the last channel, of the next tap or zero, are for results that nobody stores.
        const int row = (tap_row * p.x.taps + tap_column) * p.channels_padded + b.first_channel + half;
        ptx::tensor_copy_2d_multicast(b.stage(ring.stage) + half * kProductDepth, &weights, row, chunk * kProductDepth,
                                      full, (1 << kCluster) - 1);
        ring.advance(stages);
      });
}

/// The products of one consumer. Each step ends with a wait for them: meanwhile the other consumer's keep the tensor
/// cores busy.
template <class Tiles>
__device__ __forceinline__ void multiply(typename Tiles::Sums& sums, const ConvProduct& p, const BlockPlan& b,
                                         int consumer, Barriers& barriers) {
  constexpr std::uint64_t kNextDepth = 2;  // 16 channels on, in a descriptor
  StageRing ring, regions;
  for_each_step(
      p, b, [&](int /*chunk*/) { ptx::mbarrier_wait(&barriers.region_full[regions.stage], regions.parity); },
      [&](int /*chunk*/, int tap_row, int tap_column, bool last) {
        ptx::mbarrier_wait(&barriers.full[ring.stage], ring.parity);
        const std::uint64_t w = ptx::wgmma_descriptor(b.stage(ring.stage));
#pragma unroll
        for (int i = 0; i < Tiles::kTilesM; ++i) {
          const RowTile tile = row_tile(p, consumer * Tiles::kTilesM + i);
          const int cell = __shfl_sync(kAllLanes, b.cell(p, tile, tap_row, tap_column), 0);
          if (cell < 0) continue;  // padding, or no position of the map
          const std::uint64_t a = ptx::wgmma_descriptor(
              b.region(p, regions.stage) + (cell * p.tile.images + tile.group * kGroupImages) * kProductDepth);
          ptx::wgmma_fence();
#pragma unroll
          for (int k = 0; k < kProductDepth / 16; ++k) {
            ptx::wgmma_m64n128k16(sums[i], a + kNextDepth * k, w + kNextDepth * k, true);
          }
          ptx::wgmma_commit_group();
        }
        ptx::wgmma_wait_group<0>();
        const auto thread = static_cast<std::uint32_t>(threadIdx.x) % kGroup;
        if (thread < kCluster) ptx::mbarrier_arrive_remote(&barriers.empty[ring.stage], thread);
        ring.advance(Tiles::kStages);
        if (!last) return;
        if (thread == 0) ptx::mbarrier_arrive(&barriers.region_empty[regions.stage]);
        regions.advance(p.source_stages);
      });
#pragma unroll
  for (int i = 0; i < Tiles::kTilesM; ++i) ptx::wgmma_keep(sums[i]);
}

template <class Tiles>
__device__ __forceinline__ void store_sums(const typename Tiles::Sums& sums, const ConvProduct& p, const BlockPlan& b,
                                           int consumer, Bf16* result, bool accumulate, const ConvMoments& out) {
  constexpr int kTilesN = kColumns / 8;
  using Stage = SumsStage<kTilesN>;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  float* stage = dynamic_shared<float>() + warp * Stage::kFloats;
  LaneMoments moments(out.moments != nullptr);
#pragma unroll
  for (int i = 0; i < Tiles::kTilesM; ++i) {
    const RowTile tile = row_tile(p, consumer * Tiles::kTilesM + i);
    const int row = b.first_row + tile.row, column = b.first_column + tile.column;
    if (row >= p.y.results || column >= p.x.results) continue;
    store_rows<kTilesN>(stage, reinterpret_cast<const float(&)[kTilesN][4]>(sums[i]), result, b.first_channel,
                        p.channels, accumulate, moments, [&](int r) {
                          const int image = b.first_image + tile.group * kGroupImages + warp % 4 * 16 + r;
                          const auto position =
                              (static_cast<std::int64_t>(image) * p.y.results + row) * p.x.results + column;
                          return image < p.images ? position * p.channels : -1;
                        });
  }
  if (out.moments == nullptr || b.first_image >= p.images) return;
  moments.keep<kTilesN>(stage);
  ptx::named_barrier_sync(kConsumersMet, kConsumerThreads);
  write_moments<kTilesN, kConsumerWarps, 1>(out, b.part, dynamic_shared<float>(), Stage::kFloats, b.first_channel,
                                            p.channels);
}

/// Computes  result[n, r, o] (+)= sum over taps and i of source[n, source of (r, tap), i] weights[tap][o][i]
/// Shapes    as conv2d_product_kernel, depth a multiple of 64; `sources` [images, cells depth] in boxes of the tile's
///           images by 64, `weights` [taps channels_padded, depth_padded] in boxes of 64 x 64
/// Mapping   a block owns 128 or 256 rows (64 or more images at each position of a rectangle) by 128 channels, each of
///           two consumers half of the rows; taps that meet padding are skipped. Grid (images, channels and columns,
///           rows)
/// Memory    a block reads the rectangle's sources once, and half of the weights of the used taps: the other half comes
///           with those of its neighbour. Layer 2 of ResNet-18: 144 KB from L2 for 26 MFLOP, 180 FLOP/B
/// Numerics  bf16 products, f32 sums: chunks of 64 channels, then taps, then channels, ascending; one rounding
/// Limits    sm_90a; a result map and a tile's sources have fewer than 2^31 elements an image
template <class Tiles>
__global__ void __launch_bounds__(kThreads, Tiles::kMinBlocks)
    conv2d_product_wgmma_kernel(ConvProduct p, const __grid_constant__ CUtensorMap sources,
                                const __grid_constant__ CUtensorMap weights, Bf16* result, bool accumulate,
                                ConvMoments moments) {
  ROAP_SHARED(barriers, Barriers);
  const BlockPlan b = plan_block(p, Tiles::kStages);
  const int warp = uniform_warp();
  if (threadIdx.x == 0) barriers.init();
  make_lists(p, b);
  ptx::cluster_sync();  // before the first copy to the other block
  if (warp == kConsumerWarps) {
    if (threadIdx.x % kWarpSize == 0) copy_operands(p, b, Tiles::kStages, sources, weights, barriers);
    __syncwarp();
  } else {
    const int consumer = warp / (kConsumerWarps / kConsumers);
    typename Tiles::Sums sums = {};
    multiply<Tiles>(sums, p, b, consumer, barriers);
    ptx::named_barrier_sync(kConsumersMet, kConsumerThreads);  // shared memory is free for the sums
    store_sums<Tiles>(sums, p, b, consumer, result, accumulate, moments);
  }
  ptx::cluster_sync();  // the other block may still write to this one's stages and barriers
}

template <class Tiles>
void launch_product(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result, bool accumulate,
                    Stream stream, const ConvMoments& moments) {
  const std::int64_t cells = static_cast<std::int64_t>(p.y.sources) * p.x.sources, row = cells * p.depth;
  const CUtensorMap of_source =
      tensor_map_2d(source, {.rows = p.images, .columns = row, .row_stride = row},
                    {.rows = static_cast<std::uint32_t>(p.tile.images), .columns = kProductDepth});
  const std::int64_t taps = static_cast<std::int64_t>(p.y.taps) * p.x.taps;
  const CUtensorMap of_weights = tensor_map_2d(
      weights, {.rows = taps * p.channels_padded, .columns = p.depth_padded, .row_stride = p.depth_padded},
      {.rows = kColumns / kCluster, .columns = kProductDepth});
  const dim3 grid(kCluster * blocks_for(p.image_blocks, kCluster),
                  static_cast<unsigned>(p.channel_blocks * p.column_blocks), static_cast<unsigned>(p.row_blocks));
  launch(p.y.transposed ? "conv2d_backward_data_wgmma" : "conv2d_forward_wgmma",
         {.grid = grid, .block = kThreads, .shared_bytes = shared_bytes(p), .cluster = kCluster}, stream,
         conv2d_product_wgmma_kernel<Tiles>, p, of_source, of_weights, result, accumulate, moments);
}

}  // namespace

bool conv_has_warpgroups() { return has_warpgroup_products(); }

void conv_product_wgmma_run(const ConvProduct& p, const Bf16* source, const Bf16* weights, Bf16* result,
                            bool accumulate, Stream stream, const ConvMoments& moments) {
  p.tile.size() == 128 ? launch_product<WarpgroupTiles<1>>(p, source, weights, result, accumulate, stream, moments)
                       : launch_product<WarpgroupTiles<2>>(p, source, weights, result, accumulate, stream, moments);
}

}  // namespace roap::cuda
