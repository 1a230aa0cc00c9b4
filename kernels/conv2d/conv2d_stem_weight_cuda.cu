#include <algorithm>

#include "kernels/common/launch.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/conv2d/conv2d_stem.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarpSize;
constexpr int kOutputs = 64, kOutputPieces = kOutputs / kPiece;  // channels of a block
constexpr int kTilesM = kOutputs / 16, kTilesN = 5;              // mma tiles of a warp: all channels, 40 places
constexpr int kPlaces = 8 * kTilesN * kWarps;                    // of the depth, of a block

__host__ __device__ int stage_elements(const ConvStem& p) { return kStemTile * kOutputs + stem_patch_elements(p); }

/// The rows of dy of a tile, as a region whose rows are the tile's; rows beyond the map become zero.
template <bool kVectors>
__device__ __forceinline__ void load_dy(const ConvStem& p, const StemTile& tile, int first_output, const Bf16* dy,
                                        Bf16* shared) {
  const int piece = static_cast<int>(threadIdx.x) % kOutputPieces;
  const int channel = first_output + piece * kPiece;
  for (int m = static_cast<int>(threadIdx.x) / kOutputPieces; m < kStemTile; m += kThreads / kOutputPieces) {
    const std::int64_t offset = stem_row_offset(p, tile, m);
    const bool inside = offset >= 0 && channel < p.outputs;
    const Bf16* from = inside ? dy + offset + channel : dy;
    Bf16* target = shared + m * kOutputs + (piece ^ m % 8) * kPiece;
    if constexpr (kVectors) {
      ptx::cp_async_16(target, from, inside ? 16 : 0);
    } else {
      store_vector(target, load_scalars(from, inside ? p.outputs - channel : 0));
    }
  }
}

__device__ __forceinline__ std::uint32_t pair_of(Bf16 low, Bf16 high) {
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(high)) << 16 | __bfloat16_as_ushort(low);
}

/// Adds dy' (patches) of a tile, 16 positions at a time. `offsets` are the lane's places of the depth.
__device__ __forceinline__ void multiply(float (&sums)[kTilesM][kTilesN][4], const Bf16* dy, const Bf16* patch,
                                         const int* row_bases, const int (&offsets)[kTilesN]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  for (int m = 0; m < kStemTile; m += 16) {
    std::uint32_t a[kTilesM][4];
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) ptx::ldmatrix_x4_trans(a[i], pieces_first<kOutputPieces>(dy, m, 2 * i));
    const int2 low = *reinterpret_cast<const int2*>(row_bases + m + lane % 4 * 2);
    const int2 high = *reinterpret_cast<const int2*>(row_bases + m + 8 + lane % 4 * 2);
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
      const Bf16* of_place = patch + offsets[j];
      const std::uint32_t b0 = pair_of(of_place[low.x], of_place[low.y]);
      const std::uint32_t b1 = pair_of(of_place[high.x], of_place[high.y]);
#pragma unroll
      for (int i = 0; i < kTilesM; ++i) ptx::mma_m16n8k16(sums[i][j], a[i], b0, b1);
    }
  }
}

__device__ __forceinline__ void store_sums(const float (&sums)[kTilesM][kTilesN][4], const ConvStem& p,
                                           int first_output, int first_place, float* part) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
  for (int i = 0; i < kTilesM; ++i) {
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int o = first_output + 16 * i + 8 * half + lane / 4, place = first_place + 8 * j + lane % 4 * 2;
        if (o >= p.outputs || place >= p.depth) continue;
        *reinterpret_cast<float2*>(part + static_cast<std::int64_t>(o) * p.depth + place) =
            make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
    }
  }
}

/// Computes  parts[split][o][k] = sum over the split's positions r of dy[r, o] (place k of the patch of r)
/// Shapes    dy [images, results, outputs], x [images, sources, inputs], parts [splits][outputs][depth]; few inputs
/// Mapping   a block owns 64 channels by 160 places of some tiles of 256 positions, a warp 40 of the places
/// Memory    dy once per 160 places, x about once per 64 channels, two stages in shared memory; parts once. ResNet-18's
///           stem at 3072 images: 101 MB + 19 MB, 40 us at 3 TB/s; shared memory is as busy as mma, because a pair of
///           positions must be put together from two reads
/// Numerics  bf16 products, f32 sums: positions of a tile, then tiles, ascending within a split
/// Limits    a tile's input has fewer than 2^31 elements
template <bool kVectors>
__global__ void __launch_bounds__(kThreads, 2)
    conv2d_stem_weight_kernel(ConvStem p, const Bf16* dy, const Bf16* x, float* parts) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_output = static_cast<int>(blockIdx.y) * kOutputs;
  const int first_place = static_cast<int>(blockIdx.z) * kPlaces + warp * 8 * kTilesN;
  const int first_tile = static_cast<int>(blockIdx.x) * p.tiles_per_block;
  const int last_tile = min(first_tile + p.tiles_per_block, p.tiles()) - 1;
  Bf16* stages = dynamic_shared<Bf16>();
  ROAP_SHARED_ALIGNED(row_bases, 8, int[kStemTile]);
  for (int m = static_cast<int>(threadIdx.x); m < kStemTile; m += kThreads) row_bases[m] = stem_row_base(p, m);
  int offsets[kTilesN];
#pragma unroll
  for (int j = 0; j < kTilesN; ++j) offsets[j] = stem_depth_offset(p, first_place + 8 * j + lane / 4);

  const auto load = [&](int tile) {
    Bf16* stage = stages + (tile - first_tile) % 2 * stage_elements(p);
    const StemTile place = stem_tile(p, tile);
    load_dy<kVectors>(p, place, first_output, dy, stage);
    ptx::cp_async_commit();
    load_stem_patch<kThreads>(p, place, x, [&](int index, Bf16 value) { stage[kStemTile * kOutputs + index] = value; });
  };
  float sums[kTilesM][kTilesN][4] = {};
  load(first_tile);
  for (int tile = first_tile; tile <= last_tile; ++tile) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // this tile is there, and nobody reads the other stage
    if (tile < last_tile) load(tile + 1);
    const Bf16* stage = stages + (tile - first_tile) % 2 * stage_elements(p);
    multiply(sums, stage, stage + kStemTile * kOutputs, row_bases, offsets);
  }
  store_sums(sums, p, first_output, first_place, parts + static_cast<std::int64_t>(blockIdx.x) * p.outputs * p.depth);
}

}  // namespace

WeightParts conv_stem_parts(const Conv2dDims& d, const ConvStem& p) {
  WeightParts parts = live_weight_parts(d, p.splits());
  parts.kx_stride = p.inputs;
  parts.ky_stride = p.tap_row;
  parts.o_stride = p.depth;
  parts.split_stride = static_cast<std::int64_t>(p.outputs) * p.depth;
  return parts;
}

std::size_t conv_stem_weight_shared_bytes(const ConvStem& p) { return 2 * sizeof(Bf16) * stage_elements(p); }

void conv_stem_weight(const ConvStem& p, const Bf16* dy, const Bf16* x, float* parts, Stream stream) {
  const dim3 grid(static_cast<unsigned>(p.splits()), static_cast<unsigned>((p.outputs + kOutputs - 1) / kOutputs),
                  static_cast<unsigned>((p.depth + kPlaces - 1) / kPlaces));
  const LaunchShape shape{.grid = grid, .block = kThreads, .shared_bytes = conv_stem_weight_shared_bytes(p)};
  if (p.outputs % kPiece == 0) {
    launch("conv2d_stem_weight", shape, stream, conv2d_stem_weight_kernel<true>, p, dy, x, parts);
  } else {
    launch("conv2d_stem_weight", shape, stream, conv2d_stem_weight_kernel<false>, p, dy, x, parts);
  }
}

}  // namespace roap::cuda
