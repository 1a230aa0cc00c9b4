#include "kernels/common/launch.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/conv2d/conv2d_tile.cuh"
#include "kernels/conv2d/conv2d_weight.cuh"

namespace roap::cuda {

namespace {

/// How the warps of a block share its square of taps by output channels by input channels: a warp owns all taps of
/// kTilesM mma rows (outputs) by kTilesN mma columns (inputs).
template <int kTapsAlong_, int kTilesM_, int kTilesN_, int kWarpsM_, int kWarpsN_, int kMinBlocks_>
struct WeightTiles {
  static constexpr int kTapsAlong = kTapsAlong_, kTaps = kTapsAlong * kTapsAlong, kTilesM = kTilesM_,
                       kTilesN = kTilesN_, kWarpsM = kWarpsM_;
  static constexpr int kThreads = kWarpSize * kWarpsM * kWarpsN_, kMinBlocks = kMinBlocks_;
  static constexpr int kOutputs = 16 * kTilesM * kWarpsM, kInputs = 8 * kTilesN * kWarpsN_;
  static constexpr int kOutputPieces = kOutputs / kPiece, kInputPieces = kInputs / kPiece;
};
using ManyTaps = WeightTiles<3, 4, 1, 1, 8, 1>;
using OneTap = WeightTiles<1, 4, 4, 2, 2, 3>;
static_assert(ManyTaps::kTapsAlong == kManyTaps.taps_along && ManyTaps::kOutputs == kManyTaps.outputs &&
              ManyTaps::kInputs == kManyTaps.inputs && ManyTaps::kMinBlocks == kManyTaps.blocks_per_multiprocessor);
static_assert(OneTap::kTapsAlong == kOneTap.taps_along && OneTap::kOutputs == kOneTap.outputs &&
              OneTap::kInputs == kOneTap.inputs && OneTap::kMinBlocks == kOneTap.blocks_per_multiprocessor);

template <class Tiles>
struct UnitStage {
  Bf16 *dy, *x;
  __device__ UnitStage(const ConvWeight& p, int unit) {
    const int dy_size = p.unit.rows * p.unit.columns * p.unit.images * Tiles::kOutputs;
    const int x_size = p.source_cells * p.unit.images * Tiles::kInputs;
    dy = dynamic_shared<Bf16>() + unit % 2 * (dy_size + x_size);
    x = dy + dy_size;
  }
};

template <class Tiles, bool kVectors>
__device__ __forceinline__ void load_unit(const ConvWeight& p, const WeightBlock& b, int unit, const Bf16* dy,
                                          const Bf16* x) {
  const WeightUnitPlan u = weight_unit(p, b, unit);
  const UnitStage<Tiles> stage(p, unit);
  const RegionSource of_dy{dy,     p.images, p.y.results, p.x.results, p.outputs, u.first_image, b.first_output,
                           u.rows, u.columns};
  const RegionSource of_x{
      x, p.images, p.y.sources, p.x.sources, p.inputs, u.first_image, b.first_input, u.source_rows, u.source_columns};
  load_region<Tiles::kOutputPieces, Tiles::kThreads, kVectors>(stage.dy, of_dy, p.unit.images);
  load_region<Tiles::kInputPieces, Tiles::kThreads, kVectors>(stage.x, of_x, p.unit.images);
}

/// A block's list in shared memory says for every position of a unit which rows of x's region its taps read, 0 where a
/// tap reads none, and then the set of taps that read any.
template <class Tiles>
constexpr int kListPitch = Tiles::kTaps + 1;

template <class Tiles>
__device__ void list_rows(const ConvWeight& p, const WeightBlock& b, const WeightUnitPlan& u, int* list) {
#pragma unroll 1
  for (int position = static_cast<int>(threadIdx.x); position < u.rows.size * u.columns.size;
       position += Tiles::kThreads) {
    const int y = u.rows.begin + position / u.columns.size, x = u.columns.begin + position % u.columns.size;
    int* of_position = list + position * kListPitch<Tiles>;
    int taps = 0;
#pragma unroll 1
    for (int tap = 0; tap < Tiles::kTaps; ++tap) {
      const int ky = tap / Tiles::kTapsAlong, kx = tap % Tiles::kTapsAlong;
      const int row = ky < b.y.taps ? b.y.source(y, ky) : -1, column = kx < b.x.taps ? b.x.source(x, kx) : -1;
      const int cell = (row - u.source_rows.begin) * u.source_columns.size + column - u.source_columns.begin;
      const bool used = row >= 0 && column >= 0;
      of_position[tap] = used ? cell * p.unit.images : 0;
      taps |= used ? 1 << tap : 0;
    }
    of_position[Tiles::kTaps] = taps;
  }
}

template <class Tiles>
using Sums = float[Tiles::kTaps][Tiles::kTilesM][Tiles::kTilesN][4];

/// Adds a unit's products to the sums of a warp: at each position, for 16 images at a time, dy' x for every used tap.
template <class Tiles>
__device__ __forceinline__ void multiply_unit(Sums<Tiles>& sums, const ConvWeight& p, int positions,
                                              const UnitStage<Tiles>& stage, const int* list) {
  constexpr int kRowSize = Tiles::kInputPieces * kPiece;
  // Operands B of all taps, read two at a time: the upper half of the warp names the rows of the second one.
  constexpr int kOperands = Tiles::kTaps * Tiles::kTilesN, kPairs = (kOperands + 1) / 2;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int output_piece = warp % Tiles::kWarpsM * 2 * Tiles::kTilesM;
  const int input_piece = warp / Tiles::kWarpsM * Tiles::kTilesN;
  const auto operand = [&](int pair) { return min(2 * pair + lane / 16, kOperands - 1); };
  for (int position = 0; position < positions; ++position) {
    const int* of_position = list + position * kListPitch<Tiles>;
    const int taps = of_position[Tiles::kTaps];
    int first_row[kPairs];
#pragma unroll
    for (int j = 0; j < kPairs; ++j) first_row[j] = of_position[operand(j) / Tiles::kTilesN] + lane % 16;
    for (int image = 0; image < p.unit.images; image += 16) {
      std::uint32_t a[Tiles::kTilesM][4], b[kPairs][4];
#pragma unroll
      for (int i = 0; i < Tiles::kTilesM; ++i) {
        ptx::ldmatrix_x4_trans(
            a[i], pieces_first<Tiles::kOutputPieces>(stage.dy, position * p.unit.images + image, output_piece + 2 * i));
      }
#pragma unroll
      for (int j = 0; j < kPairs; ++j) {
        const int piece = input_piece + operand(j) % Tiles::kTilesN;
        ptx::ldmatrix_x4_trans(b[j], stage.x + (first_row[j] + image) * kRowSize + (piece ^ lane % 8) * kPiece);
      }
#pragma unroll
      for (int tap = 0; tap < Tiles::kTaps; ++tap) {
        if ((taps >> tap & 1) == 0) continue;
#pragma unroll
        for (int j = 0; j < Tiles::kTilesN; ++j) {
          const int number = tap * Tiles::kTilesN + j;
          const std::uint32_t b0 = b[number / 2][number % 2 * 2], b1 = b[number / 2][number % 2 * 2 + 1];
#pragma unroll
          for (int i = 0; i < Tiles::kTilesM; ++i) ptx::mma_m16n8k16(sums[tap][i][j], a[i], b0, b1);
        }
      }
    }
  }
}

template <class Tiles>
__device__ __forceinline__ void store_sums(const Sums<Tiles>& sums, const ConvWeight& p, const WeightBlock& b,
                                           float* parts) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_output = b.first_output + warp % Tiles::kWarpsM * 16 * Tiles::kTilesM + lane / 4;
  const int first_input = b.first_input + warp / Tiles::kWarpsM * 8 * Tiles::kTilesN + lane % 4 * 2;
  float* part = parts + b.part * p.parts.split_stride;
#pragma unroll
  for (int tap = 0; tap < Tiles::kTaps; ++tap) {
    const int ky = tap / Tiles::kTapsAlong, kx = tap % Tiles::kTapsAlong;
    if (ky >= b.y.taps || kx >= b.x.taps) continue;
    float* of_tap = part + (b.first_tap_row + ky) * p.parts.ky_stride + (b.first_tap_column + kx) * p.parts.kx_stride;
#pragma unroll
    for (int i = 0; i < Tiles::kTilesM; ++i) {
#pragma unroll
      for (int j = 0; j < Tiles::kTilesN; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int o = first_output + 16 * i + 8 * half, input = first_input + 8 * j;
          if (o >= p.outputs || input >= p.inputs) continue;
          float* at = of_tap + o * p.parts.o_stride + input;
          const float2 pair = make_float2(sums[tap][i][j][2 * half], sums[tap][i][j][2 * half + 1]);
          if (p.inputs % 2 == 0) {
            *reinterpret_cast<float2*>(at) = pair;
          } else {
            at[0] = pair.x;
            if (input + 1 < p.inputs) at[1] = pair.y;
          }
        }
      }
    }
  }
}

/// Computes  parts[split][o][tap][i] = sum over the split's images n and positions r of dy[n, r, o] x[n, source of
///           (r, tap), i]
/// Shapes    dy [images, results, outputs], x [images, sources, inputs], parts [splits][outputs][taps][inputs]; any
///           sizes
/// Mapping   a block owns a square of taps by kOutputs by kInputs channels of one split, all sums in registers; its
///           warps share the channels. It goes through units, 16 or more images at the positions of a rectangle
/// Memory    dy once and x about once per block of channels (not once per tap), two units in shared memory; parts
///           written once. Layer 1 of ResNet-18 at 3072 images: 128 blocks read 0.8 MB each, 120 FLOP/B of L2
/// Numerics  bf16 products, f32 sums: positions of a rectangle, images, then rectangles, ascending within a split
/// Limits    a split's parts have fewer than 2^31 elements
template <class Tiles, bool kVectors>
__global__ void __launch_bounds__(Tiles::kThreads, Tiles::kMinBlocks)
    conv2d_weight_kernel(ConvWeight p, const __grid_constant__ WeightOperands operands, float* parts) {
  const WeightBlock b = weight_block<Tiles>(p);
  const Bf16 *dy = operands.dy[b.member], *x = operands.x[b.member];
  int* list = reinterpret_cast<int*>(UnitStage<Tiles>(p, 1).x + p.source_cells * p.unit.images * Tiles::kInputs);
  Sums<Tiles> sums = {};
  load_unit<Tiles, kVectors>(p, b, 0, dy, x);
  ptx::cp_async_commit();
  int listed = -1;
  for (int unit = 0; unit < b.units; ++unit) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // this unit's copies have landed, and nobody reads the other stage and the list
    if (unit + 1 < b.units) load_unit<Tiles, kVectors>(p, b, unit + 1, dy, x);
    ptx::cp_async_commit();
    const WeightUnitPlan u = weight_unit(p, b, unit);
    if (u.rectangle != listed) {
      list_rows<Tiles>(p, b, u, list);
      listed = u.rectangle;
      __syncthreads();
    }
    multiply_unit<Tiles>(sums, p, u.rows.size * u.columns.size, UnitStage<Tiles>(p, unit), list);
  }
  store_sums<Tiles>(sums, p, b, parts);
}

template <class Tiles, bool kVectors>
void launch_weight(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream) {
  launch("conv2d_backward_weight",
         {.grid = static_cast<unsigned>(p.blocks()), .block = Tiles::kThreads, .shared_bytes = shared_bytes(p)}, stream,
         conv2d_weight_kernel<Tiles, kVectors>, p, operands, parts);
}

}  // namespace

void conv_weight_run(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream) {
  if (p.unit.warpgroups) return conv_weight_wgmma_run(p, operands, parts, stream);
  const bool vectors = p.inputs % kPiece == 0 && p.outputs % kPiece == 0;
  if (p.one_tap()) {
    vectors ? launch_weight<OneTap, true>(p, operands, parts, stream)
            : launch_weight<OneTap, false>(p, operands, parts, stream);
  } else {
    vectors ? launch_weight<ManyTaps, true>(p, operands, parts, stream)
            : launch_weight<ManyTaps, false>(p, operands, parts, stream);
  }
}

}  // namespace roap::cuda
