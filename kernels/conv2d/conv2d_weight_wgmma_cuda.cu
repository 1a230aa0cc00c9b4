#include "kernels/common/outer_products_wgmma.cuh"
#include "kernels/conv2d/conv2d_weight.cuh"

// Backward weight by wgmma (sm_90a). Seen as a matrix [images, cells and channels], a map has some images of a cell in
// one box of the copy engine: their channels are columns and the images rows, along which products are added up.
//
// Of many taps, the rows of maps stream through two rings in shared memory, each row of x and of dy once. One warpgroup
// for each row of taps goes through them: a row of dy with the row of x that its taps read.

namespace roap::cuda {

namespace {

struct RowTile {
  static constexpr int kTapsAlong = kManyTaps.taps_along, kOutputs = kManyTaps.outputs, kInputs = kManyTaps.inputs;
  static constexpr int kGroup = 128;             ///< threads of a warpgroup
  static constexpr int kConsumers = kTapsAlong;  ///< a warpgroup for each row of taps
  static constexpr int kConsumerWarps = kGroup * kConsumers / kWarpSize;
  static constexpr int kThreads = kGroup * kConsumers + kWarpSize;  ///< and one warp whose first lane copies
  static constexpr int kChannels = 64, kImageBytes = 2 * kChannels;
  static_assert(kOutputs == kChannels && kInputs == kChannels);
  using Sums = float[kTapsAlong][kChannels / 2];
};

/// Elements of a row of x or dy in shared memory: cells, images, channels.
__host__ __device__ inline int row_elements(const ConvWeight& p, int cells) {
  return cells * p.unit.images * RowTile::kChannels;
}

__device__ __forceinline__ Bf16* source_stage(const ConvWeight& p, int stage) {
  return dynamic_shared<Bf16>() + stage * row_elements(p, p.source_cells);
}
__device__ __forceinline__ Bf16* result_stage(const ConvWeight& p, int stage) {
  return source_stage(p, kWeightSourceStages) + stage * row_elements(p, p.unit.columns);
}

/// Of each member.
struct MemberMaps {
  CUtensorMap dy[kMostConv2dMembers], x[kMostConv2dMembers];
};

struct RowBarriers {
  std::uint64_t source_full[kWeightSourceStages], source_empty[kWeightSourceStages];
  std::uint64_t result_full[kWeightResultStages], result_empty[kWeightResultStages];

  __device__ void init() {
    const auto init_ring = [](std::uint64_t* full, std::uint64_t* empty, int stages) {
      for (int i = 0; i < stages; ++i) {
        ptx::mbarrier_init(&full[i], 1);
        ptx::mbarrier_init(&empty[i], RowTile::kConsumerWarps);
      }
    };
    init_ring(source_full, source_empty, kWeightSourceStages);
    init_ring(result_full, result_empty, kWeightResultStages);
    ptx::mbarrier_fence_init();
  }
};

/// One thread copies every row of x and of dy of its units: of x those that come first in the ring as they are needed.
__device__ __forceinline__ void copy_rows(const ConvWeight& p, const WeightBlock& b, const CUtensorMap& dy,
                                          const CUtensorMap& x, RowBarriers& barriers) {
  StageRing sources, results;
  const auto copy_row = [&](const CUtensorMap& map, const WeightUnitPlan& u, int first_cell, int cells, int channels,
                            int first_channel, Bf16* target, std::uint64_t* full) {
    ptx::mbarrier_arrive_expect_tx(full, static_cast<std::uint32_t>(cells * p.unit.images * RowTile::kImageBytes));
#pragma unroll 1
    for (int cell = 0; cell < cells; ++cell, target += p.unit.images * RowTile::kChannels) {
      ptx::tensor_copy_2d(target, &map, u.first_image, (first_cell + cell) * channels + first_channel, full);
    }
  };
#pragma unroll 1
  for (int number = 0; number < b.units; ++number) {
    const WeightUnitPlan u = weight_unit(p, b, number);
    int copied = 0;
    const auto copy_sources = [&](int end) {
#pragma unroll 1
      for (; copied < end; ++copied) {
        ptx::mbarrier_wait(&barriers.source_empty[sources.stage], sources.parity ^ 1);
        copy_row(x, u, (u.source_rows.begin + copied) * p.x.sources + u.source_columns.begin, u.source_columns.size,
                 p.inputs, b.first_input, source_stage(p, sources.stage), &barriers.source_full[sources.stage]);
        sources.advance(kWeightSourceStages);
      }
    };
#pragma unroll 1
    for (int row = 0; row < u.rows.size; ++row) {
      const PositionRange needed = b.y.sources_of(row, 1);
      copy_sources(min(needed.begin + needed.size - u.source_rows.begin, u.source_rows.size));
      ptx::mbarrier_wait(&barriers.result_empty[results.stage], results.parity ^ 1);
      copy_row(dy, u, row * p.x.results + u.columns.begin, u.columns.size, p.outputs, b.first_output,
               result_stage(p, results.stage), &barriers.result_full[results.stage]);
      results.advance(kWeightResultStages);
    }
    copy_sources(u.source_rows.size);
  }
}

/// Rows of one ring as a warp of a consumer goes through them. It waits for each before it gives it back, also for
/// those that it does not use, so that it cannot get a round ahead.
class RowReader {
 public:
  __device__ __forceinline__ RowReader(std::uint64_t* full, std::uint64_t* empty, int stages)
      : full_(full), empty_(empty), stages_(stages) {}
  __device__ __forceinline__ int wait() const {
    ptx::mbarrier_wait(&full_[ring_.stage], ring_.parity);
    return ring_.stage;
  }
  __device__ __forceinline__ void release() {
    __syncwarp();
    if (threadIdx.x % kWarpSize == 0) ptx::mbarrier_arrive(&empty_[ring_.stage]);
    ring_.advance(stages_);
  }

 private:
  std::uint64_t *full_, *empty_;
  int stages_;
  StageRing ring_;
};

/// Adds the products of a row of dy and a row of x: at every position, for 16 images at a time, dy' x for each tap.
template <int kSlices>
__device__ __forceinline__ void multiply_row(RowTile::Sums& sums, const WeightBlock& b, const WeightUnitPlan& u,
                                             const Bf16* dy, const Bf16* x) {
  // In descriptors: 16 images on, and a cell on.
  constexpr std::uint64_t kSlice = 16 * RowTile::kImageBytes >> 4, kCell = kSlices * kSlice;
  std::uint64_t of_dy = ptx::wgmma_descriptor_mn(dy, 0);
  const std::uint64_t first = ptx::wgmma_descriptor_mn(x, 0);
  int source = u.columns.begin * b.x.stride - b.x.padding;  // of the first tap, if there is one
#pragma unroll 1
  for (int column = 0; column < u.columns.size; ++column, of_dy += kCell, source += b.x.stride) {
#pragma unroll
    for (int tap = 0; tap < RowTile::kTapsAlong; ++tap) {
      const int position = source + tap;
      if (tap >= b.x.taps || position < 0 || position >= b.x.sources) continue;
      const std::uint64_t of_x = first + static_cast<unsigned>(position - u.source_columns.begin) * kCell;
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kSlices; ++k) ptx::wgmma_m64n64k16_mn(sums[tap], of_dy + kSlice * k, of_x + kSlice * k, true);
    }
  }
  ptx::wgmma_commit_group();
}

/// The products of row `tap_row` of the block's taps.
template <int kSlices>
__device__ __forceinline__ void multiply_rows(RowTile::Sums& sums, const ConvWeight& p, const WeightBlock& b,
                                              int tap_row, RowBarriers& barriers) {
  RowReader sources(barriers.source_full, barriers.source_empty, kWeightSourceStages);
  RowReader results(barriers.result_full, barriers.result_empty, kWeightResultStages);
#pragma unroll 1
  for (int number = 0; number < b.units; ++number) {
    const WeightUnitPlan u = weight_unit(p, b, number);
    int passed = 0;
    const auto pass = [&](int end) {
#pragma unroll 1
      for (; passed < end; ++passed) {
        sources.wait();
        sources.release();
      }
    };
#pragma unroll 1
    for (int row = 0; row < u.rows.size; ++row) {
      // Rows before the one that the taps read, if they read any: the copies for later rows may need their places.
      const int source = row * b.y.stride + tap_row - b.y.padding - u.source_rows.begin;
      pass(min(source, u.source_rows.size));
      const bool used = tap_row < b.y.taps && source >= 0 && source < u.source_rows.size;
      const int stage = results.wait();
      if (used) {
        multiply_row<kSlices>(sums, b, u, result_stage(p, stage), source_stage(p, sources.wait()));
        ptx::wgmma_wait_group<0>();  // meanwhile the other consumers' products keep the tensor cores busy
        sources.release();
        ++passed;
      }
      results.release();
    }
    pass(u.source_rows.size);
  }
#pragma unroll
  for (int tap = 0; tap < RowTile::kTapsAlong; ++tap) ptx::wgmma_keep(sums[tap]);
}

/// Computes  parts[split][o][tap][i] = sum over the split's images n and positions r of dy[n, r, o] x[n, source of
///           (r, tap), i]
/// Shapes    dy [images, results outputs] and x [images, sources inputs] in boxes of the unit's images by 64, parts
///           [splits][outputs][taps][inputs]
/// Mapping   a block owns 3 x 3 taps by 64 x 64 channels of one split, each of three consumers a row of taps, all sums
///           in registers. Its units are images at all rows of some columns
/// Memory    dy and x once per block of channels. Layer 1 of ResNet-18: 256 B from L2 for 62 kFLOP, 240 FLOP/B, at each
///           position of an image; four rows of x and two of dy in shared memory
/// Numerics  bf16 products, f32 sums: rows of results, columns, images, then units, ascending within a split
/// Limits    sm_90a; inputs and outputs are multiples of 8; a map has fewer than 2^31 elements an image; units of
///           16 kSlices images
template <int kSlices>
__global__ void __launch_bounds__(RowTile::kThreads, 1)
    conv2d_weight_wgmma_kernel(ConvWeight p, const __grid_constant__ MemberMaps maps, float* parts) {
  ROAP_SHARED(barriers, RowBarriers);
  const WeightBlock b = weight_block<RowTile>(p);
  const int warp = uniform_warp();
  if (threadIdx.x == 0) barriers.init();
  __syncthreads();
  if (warp == RowTile::kConsumerWarps) {
    if (threadIdx.x % kWarpSize == 0) copy_rows(p, b, maps.dy[b.member], maps.x[b.member], barriers);
    return;
  }
  const int tap_row = warp / 4;
  RowTile::Sums sums = {};
  multiply_rows<kSlices>(sums, p, b, tap_row, barriers);
  if (tap_row >= b.y.taps) return;
  float* row = parts + b.part * p.parts.split_stride + (b.first_tap_row + tap_row) * p.parts.ky_stride;
#pragma unroll
  for (int tap = 0; tap < RowTile::kTapsAlong; ++tap) {
    if (tap >= b.x.taps) continue;
    store_outer_sums(sums[tap], b.first_output, b.first_input, p.outputs, p.inputs,
                     row + (b.first_tap_column + tap) * p.parts.kx_stride, p.parts.o_stride);
  }
}

/// The steps of a pass with one tap, for outer_products_wgmma_kernel: a unit each.
struct OneTapSteps {
  ConvWeight p;
  int first = 0, units = 0;
  [[nodiscard]] __device__ OneTapSteps of_part(int part, int /*parts*/) const {
    const int begin = part * p.units_per_split;
    return {p, begin, min(p.units_per_split, p.units() - begin)};
  }
  [[nodiscard]] __device__ int count() const { return units; }
  [[nodiscard]] __device__ OuterStep at(int i) const {
    const WeightUnitPlan u = weight_unit(p, p.y, p.x, first + i);
    const int row = p.y.source(u.rows.begin, 0), column = p.x.source(u.columns.begin, 0);
    if (row < 0 || column < 0) return {p.images, 0, 0};  // padding: rows that do not exist
    return {u.first_image, (u.rows.begin * p.x.results + u.columns.begin) * p.outputs,
            (row * p.x.sources + column) * p.inputs};
  }
};

/// Elements of an image of dy and of x.
std::int64_t result_elements(const ConvWeight& p) {
  return static_cast<std::int64_t>(p.y.results) * p.x.results * p.outputs;
}
std::int64_t source_elements(const ConvWeight& p) {
  return static_cast<std::int64_t>(p.y.sources) * p.x.sources * p.inputs;
}

void launch_one_tap(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream) {
  static_assert(kMostConv2dMembers <= kMostOuterProblems);
  OuterOperands maps;
  for (int i = 0; i < p.members; ++i) {
    maps.a[i] = outer_operand(operands.dy[i], p.images, result_elements(p));
    maps.b[i] = outer_operand(operands.x[i], p.images, source_elements(p));
  }
  launch_outer_products("conv2d_backward_weight_wgmma", OneTapSteps{p}, {p.members, p.parts.splits}, maps,
                        {p.outputs, p.inputs, parts, p.parts.split_stride, p.parts.o_stride}, stream);
}

}  // namespace

void conv_weight_wgmma_run(const ConvWeight& p, const WeightOperands& operands, float* parts, Stream stream) {
  if (p.one_tap()) return launch_one_tap(p, operands, parts, stream);
  const auto map = [&](const Bf16* of, std::int64_t row) {
    return tensor_map_2d(of, {.rows = p.images, .columns = row, .row_stride = row},
                         {.rows = static_cast<std::uint32_t>(p.unit.images), .columns = RowTile::kChannels});
  };
  MemberMaps maps;
  for (int i = 0; i < p.members; ++i) {
    maps.dy[i] = map(operands.dy[i], result_elements(p));
    maps.x[i] = map(operands.x[i], source_elements(p));
  }
  launch("conv2d_backward_weight_wgmma",
         {.grid = static_cast<unsigned>(p.blocks()), .block = RowTile::kThreads, .shared_bytes = shared_bytes(p)},
         stream, p.unit.images == 32 ? conv2d_weight_wgmma_kernel<2> : conv2d_weight_wgmma_kernel<4>, p, maps, parts);
}

}  // namespace roap::cuda
