#include <algorithm>

#include "kernels/common/launch.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/conv2d/conv2d_stem.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kChannels = 64;            // of a block
constexpr int kTilesM = 2, kTilesN = 8;  // mma tiles of a warp: 32 positions, all channels
static_assert(16 * kTilesM * kWarps == kStemTile && 8 * kTilesN == kChannels);

/// Rows of weights in shared memory begin 16 bytes apart modulo 128: ldmatrix reads eight of them without conflicts.
__host__ __device__ int weight_pitch(const ConvStem& p) { return p.depth_padded + kPiece; }

/// Whether a stage of the input has a second copy, shifted by one element: neighbouring elements are read as one word
/// from the copy where they are aligned.
__host__ __device__ bool has_shifted(const ConvStem& p) { return p.x.stride * p.inputs % 2 != 0; }
__host__ __device__ int stage_elements(const ConvStem& p) { return (has_shifted(p) ? 2 : 1) * stem_patch_elements(p); }

struct SharedPlan {
  float* sums;
  Bf16 *weights, *stages;
  int* offsets;  ///< in words, of pairs of the depth
  __device__ explicit SharedPlan(const ConvStem& p)
      : sums(dynamic_shared<float>()),
        weights(reinterpret_cast<Bf16*>(sums + kWarps * SumsStage<kTilesN>::kFloats)),
        stages(weights + kChannels * weight_pitch(p)),
        offsets(reinterpret_cast<int*>(stages + 2 * stage_elements(p))) {}
};

/// Where the live taps lie in w.
struct StemWeights {
  int first_row, first_column, columns;
  std::int64_t channel_stride;  ///< elements between output channels
};

/// w [co, rows, columns, ci] -> [channel][depth] in bf16; zero where the depth is padded and beyond the channels.
__device__ void load_weights(const StemWeights& from, const ConvStem& p, int first_channel, const float* w,
                             Bf16* weights) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  for (int k = static_cast<int>(threadIdx.x) % kWarpSize; k < p.depth_padded; k += kWarpSize) {
    const int ky = k / p.tap_row, kx = k % p.tap_row / p.inputs, i = k % p.tap_row % p.inputs;
    const bool inside = k < p.depth && kx < p.x.taps;
    const int at = ((from.first_row + ky) * from.columns + from.first_column + kx) * p.inputs + i;
    for (int o = warp; o < kChannels; o += kWarps) {
      const bool read = inside && first_channel + o < p.outputs;
      const float value = read ? w[(first_channel + o) * from.channel_stride + at] : 0.0f;
      weights[o * weight_pitch(p) + k] = from_float<Bf16>(value);
    }
  }
}

__device__ __forceinline__ void load_stage(const ConvStem& p, int tile, const Bf16* x, Bf16* stage) {
  Bf16* shifted = stage + stem_patch_elements(p);
  const bool shift = has_shifted(p);
  load_stem_patch<kThreads>(p, stem_tile(p, tile), x, [&](int index, Bf16 value) {
    stage[index] = value;
    if (shift && index > 0) shifted[index - 1] = value;
  });
}

/// The rows of A that a lane holds: where they begin in a stage, in words.
struct LaneRows {
  int base[kTilesM][2];
  __device__ explicit LaneRows(const ConvStem& p) {
    const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int element = stem_row_base(p, 16 * (warp * kTilesM + i) + lane / 4 + 8 * half);
        base[i][half] = element % 2 == 0 ? element / 2 : (stem_patch_elements(p) + element - 1) / 2;
      }
    }
  }
};

__device__ __forceinline__ void multiply(float (&sums)[kTilesM][kTilesN][4], const ConvStem& p,
                                         const SharedPlan& shared, const Bf16* stage, const LaneRows& rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const auto* words = reinterpret_cast<const std::uint32_t*>(stage);
  for (int k = 0; k < p.depth_padded; k += 16) {
    std::uint32_t a[kTilesM][4], w[kTilesN / 2][4];
#pragma unroll
    for (int j = 0; j < kTilesN / 2; ++j) {
      ptx::ldmatrix_x4(
          w[j], shared.weights + (16 * j + lane / 16 * 8 + lane % 8) * weight_pitch(p) + k + lane / 8 % 2 * kPiece);
    }
    const int low = shared.offsets[k / 2 + lane % 4], high = shared.offsets[k / 2 + 4 + lane % 4];
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) {
      a[i][0] = words[rows.base[i][0] + low];
      a[i][1] = words[rows.base[i][1] + low];
      a[i][2] = words[rows.base[i][0] + high];
      a[i][3] = words[rows.base[i][1] + high];
#pragma unroll
      for (int j = 0; j < kTilesN; ++j) {
        ptx::mma_m16n8k16(sums[i][j], a[i], w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}

/// Computes  y[n, r, o] = sum over the patch of r of x w[o]
/// Shapes    x [images, sources, inputs], w [co, rows, columns, ci], y [images, results, outputs]; few inputs
/// Mapping   a block owns 64 channels of some tiles of 256 positions (ResNet-18's stem: an image each), a warp 32
///           positions of them
/// Memory    x about once per 64 channels, in two stages of shared memory; w once per block; y once. ResNet-18's
///           stem at 3072 images: 19 MB + 101 MB, 33 us at 3 TB/s, and 16 GFLOP, 32 us of mma.sync
/// Numerics  bf16 products, f32 sums: ky, kx, channels, ascending; one rounding. Padding of the depth multiplies
///           pixels by zero, so infinite pixels may spread by a pixel
/// Limits    a tile's input has fewer than 2^31 elements
__global__ void __launch_bounds__(kThreads, 2)
    conv2d_stem_kernel(StemWeights from, ConvStem p, const Bf16* x, const float* w, Bf16* y, ConvMoments out) {
  const SharedPlan shared(p);
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int first_channel = static_cast<int>(blockIdx.y) * kChannels;
  const int first_tile = static_cast<int>(blockIdx.x) * p.tiles_per_block;
  const int last_tile = min(first_tile + p.tiles_per_block, p.tiles()) - 1;
  load_weights(from, p, first_channel, w, shared.weights);
  for (int k = static_cast<int>(threadIdx.x); k < p.depth_padded / 2; k += kThreads) {
    shared.offsets[k] = stem_depth_offset(p, 2 * k) / 2;
  }
  const LaneRows rows(p);
  LaneMoments moments(out.moments != nullptr);
  load_stage(p, first_tile, x, shared.stages);
  for (int tile = first_tile; tile <= last_tile; ++tile) {
    __syncthreads();  // this tile's input is there, and nobody reads the other stage
    const int stage = (tile - first_tile) % 2;
    if (tile < last_tile) load_stage(p, tile + 1, x, shared.stages + (1 - stage) * stage_elements(p));
    float sums[kTilesM][kTilesN][4] = {};
    multiply(sums, p, shared, shared.stages + stage * stage_elements(p), rows);
    const StemTile place = stem_tile(p, tile);
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) {
      store_rows<kTilesN>(shared.sums + warp * SumsStage<kTilesN>::kFloats, sums[i], y, first_channel, p.outputs, false,
                          moments, [&](int r) { return stem_row_offset(p, place, 16 * (warp * kTilesM + i) + r); });
    }
  }
  if (out.moments == nullptr) return;
  moments.keep<kTilesN>(shared.sums + warp * SumsStage<kTilesN>::kFloats);
  __syncthreads();
  write_moments<kTilesN, kWarps, 1>(out, static_cast<int>(blockIdx.x), shared.sums, SumsStage<kTilesN>::kFloats,
                                    first_channel, p.outputs);
}

}  // namespace

std::size_t conv_stem_forward_shared_bytes(const ConvStem& p) {
  const std::size_t elements = kChannels * weight_pitch(p) + 2 * stage_elements(p);
  return sizeof(float) * kWarps * SumsStage<kTilesN>::kFloats + sizeof(Bf16) * elements +
         sizeof(int) * p.depth_padded / 2;
}

void conv_stem_forward(const Conv2dDims& d, const ConvStem& p, const Bf16* x, const float* w, Bf16* y, Stream stream,
                       const ConvMoments& moments) {
  const TapWindow live = live_in_stored(d), stored = stored_window(d);
  const StemWeights from{static_cast<int>(live.first_row), static_cast<int>(live.first_column),
                         static_cast<int>(stored.columns), stored.count() * d.ci};
  const auto channel_blocks = static_cast<unsigned>((p.outputs + kChannels - 1) / kChannels);
  launch("conv2d_stem",
         {.grid = {static_cast<unsigned>(p.splits()), channel_blocks},
          .block = kThreads,
          .shared_bytes = conv_stem_forward_shared_bytes(p)},
         stream, conv2d_stem_kernel, from, p, x, w, y, moments);
}

}  // namespace roap::cuda
