#include "kernels/common/hopper.h"
#include "kernels/common/launch.h"
#include "kernels/common/ptx/fence.h"
#include "kernels/point_mlp/point_mlp_wgmma_tile.cuh"

namespace roap::cuda {

namespace {

using T = WgmmaTile;

/// Shared memory behind the ring.
struct Forward {
  static constexpr int kStages = 5;
  enum Vector { kB3, kGamma4, kBeta4, kB6, kVectors };
  static constexpr std::size_t kFirstAt = std::size_t{kStages} * T::kSliceBytes;
  static constexpr std::size_t kInputsAt = kFirstAt + T::kMostSteps * T::kFirstBytes;
  static constexpr std::size_t kInputs = (T::kMostInputs + 1) * T::kInputPitch;  ///< of a consumer
  static constexpr std::size_t kVectorsAt = kInputsAt + T::kConsumers * kInputs * sizeof(float);
  static constexpr std::size_t kMaximaAt = kVectorsAt + kVectors * T::kWidth * sizeof(float);
  static constexpr std::size_t kSharedBytes = kMaximaAt + T::kConsumers * 4 * T::kWidth * sizeof(Best);

  static __device__ __nv_bfloat16* first() { return dynamic_shared<__nv_bfloat16>(kFirstAt); }
  /// u of a consumer's rows [terms][kInputPitch], in the end as split_bf16 gives them.
  static __device__ float* inputs(int consumer) { return dynamic_shared<float>(kInputsAt) + consumer * kInputs; }
  /// One of Vector.
  static __device__ float* vector(int i) { return dynamic_shared<float>(kVectorsAt) + i * T::kWidth; }
  /// Maxima of a consumer's warps [4][kWidth].
  static __device__ Best* maxima(int consumer) { return dynamic_shared<Best>(kMaximaAt) + consumer * 4 * T::kWidth; }
};
using Consumer = WgmmaConsumer<Forward::kStages>;

/// Of the ring, and of the inputs, which are full and empty for one consumer.
struct Barriers {
  WgmmaRing<Forward::kStages> ring;
  std::uint64_t inputs_full[T::kConsumers], inputs_empty[T::kConsumers];

  __device__ void init() {
    ring.init();
    for (int i = 0; i < T::kConsumers; ++i) {
      ptx::mbarrier_init(&inputs_full[i], kWarpSize);
      ptx::mbarrier_init(&inputs_empty[i], T::kGroup / kWarpSize);
    }
    ptx::mbarrier_fence_init();
  }
};

/// Calls use(first set of this block, piece, first tile, end of tiles) for everything that its cluster computes. A
/// block's consumers own a set each; those behind the last one compute something that nobody reads.
template <class Use>
__device__ __forceinline__ void for_each_item(const PointMlpDims& d, int pieces, const Use& use) {
  const int sets = static_cast<int>(d.tasks * d.groups), pairs = static_cast<int>(d.pairs);
  const int items = (sets + T::kTilesOfCluster - 1) / T::kTilesOfCluster * pieces;
  const int rank = static_cast<int>(ptx::cluster_rank());
  for (int item = static_cast<int>(blockIdx.x) / T::kCluster; item < items;
       item += static_cast<int>(gridDim.x) / T::kCluster) {
    const int piece = item % pieces;
    use(item / pieces * T::kTilesOfCluster + rank * T::kConsumers, piece,
        point_mlp_first_tile(piece, pieces, pairs, T::kRows), point_mlp_first_tile(piece + 1, pieces, pairs, T::kRows));
  }
}

/// One thread of each block copies the slices of layer 3 and of the block's features of layer 6 for every tile.
__device__ __forceinline__ void copy_slices(const PointMlpDims& d, const __nv_bfloat16* matrices, int feature_block,
                                            int pieces, Barriers& barriers) {
  WgmmaSliceCopier copier(barriers.ring);
  for_each_item(d, pieces, [&](int, int, int tile, int end) {
    for (; tile < end; ++tile) {
      for (int slice = 0; slice < 2 * T::kSlices; ++slice) {
        const int skipped = slice < T::kSlices ? 0 : feature_block * T::kSlices;
        copier.copy(matrices + static_cast<std::int64_t>(skipped + slice) * T::kSlice);
      }
    }
  });
}

/// One warp prepares the inputs of one consumer's rows, a tile ahead of it.
__device__ __forceinline__ void prepare_inputs(const PointMlpRows& rows, const float* gram, int pieces, int consumer,
                                               Barriers& barriers) {
  const int in = static_cast<int>(rows.d.in), pairs = static_cast<int>(rows.d.pairs);
  const int last_set = static_cast<int>(rows.d.tasks * rows.d.groups) - 1;
  std::uint32_t parity = 1;
  for_each_item(rows.d, pieces, [&](int first_set, int, int tile, int end) {
    const PointMlpSet elements(rows, min(first_set + consumer, last_set));
    for (; tile < end; ++tile) {
      ptx::mbarrier_wait(&barriers.inputs_empty[consumer], parity);
      parity ^= 1;
#pragma unroll 1
      for (int row = lane_index(); row < T::kRows; row += kWarpSize) {
        const int pair = tile * T::kRows + row;
        split_inputs(in, gram, Forward::inputs(consumer) + row,
                     [&](int j) { return pair < pairs ? elements.input(pair, j) : 0.0f; });
      }
      ptx::mbarrier_arrive(&barriers.inputs_full[consumer]);
    }
  });
}

__device__ __forceinline__ float2 pair_of(int vector, int j) {
  return *reinterpret_cast<const float2*>(Forward::vector(vector) + 8 * j + lane_index() % 4 * 2);
}

/// Every row of z = b3 or b6, as `vector` says.
__device__ __forceinline__ void fill_rows(int vector, T::Sums& z) {
#pragma unroll
  for (int j = 0; j < T::kWidth / 8; ++j) {
    const float2 bias = pair_of(vector, j);
    z[4 * j] = z[4 * j + 2] = bias.x;
    z[4 * j + 1] = z[4 * j + 3] = bias.y;
  }
}

/// a = relu(z).
__device__ __forceinline__ void first_activations(const T::Sums& z, T::Operand& a) {
#pragma unroll
  for (int k = 0; k < T::kWidth / 16; ++k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) a[k][i] = pack_bf16_relu(z[8 * k + 2 * i], z[8 * k + 2 * i + 1]);
  }
}

/// a = relu(layer_norm(z)) of centred z.
__device__ __forceinline__ void second_activations(const T::Sums& z, int hidden, T::Operand& a) {
  float rstd[2];
  second_rstd(z, hidden, rstd);
#pragma unroll
  for (int k = 0; k < T::kWidth / 16; ++k) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 gamma = pair_of(Forward::kGamma4, 2 * k + half), beta = pair_of(Forward::kBeta4, 2 * k + half);
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const float* of_row = &z[8 * k + 4 * half + 2 * row];
        a[k][2 * half + row] =
            pack_bf16_relu(of_row[0] * rstd[row] * gamma.x + beta.x, of_row[1] * rstd[row] * gamma.y + beta.y);
      }
    }
  }
}

/// The maxima of a consumer's rows so far, in shared memory by warps, where one lane reads and writes a column.
class ConsumerMaxima {
 public:
  __device__ __forceinline__ explicit ConsumerMaxima(int consumer) : all_(Forward::maxima(consumer)) {}

  __device__ __forceinline__ void clear() {
    for (int i = lane_index(); i < T::kWidth; i += kWarpSize) all_[WgmmaThread::warp() * T::kWidth + i] = Best{};
    __syncwarp();
  }
  /// Rows of the tile are elements first ... of a set of `count`.
  __device__ __forceinline__ void update(const T::Sums& z, int first, int count) {
    const int pair = first + WgmmaThread::first_row();
    const bool inside[2] = {pair < count, pair + 8 < count};
    Best* columns = all_ + WgmmaThread::warp() * T::kWidth + lane_index() % 4 * 2;
#pragma unroll
    for (int j = 0; j < T::kWidth / 8; j += 4) {  // eight columns of a lane, for eight lanes
      Best values[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int at = 4 * (j + i / 2) + i % 2;
        // fmaxf passes over a NaN; -infinity, which is no maximum, stands for rows that do not exist.
        const float upper = inside[0] ? z[at] : -INFINITY, lower = inside[1] ? z[at + 2] : -INFINITY;
        values[i].value = fmaxf(fmaxf(upper, lower), -INFINITY);
        values[i].pair = upper == values[i].value ? pair : pair + 8;
      }
      merge_lanes<8, 16>(
          lane_index(), values, 0, true,
          [](Best a, const Best& b) {
            a.merge(b.value, b.pair);
            return a;
          },
          [&](int i, const Best& best) { columns[8 * (j + i / 2) + i % 2].update(best.value, best.pair); });
    }
  }
  /// Merges the maxima of all rows and writes those of `columns` features, none where that is negative.
  __device__ __forceinline__ void write(int columns, float* value, std::int32_t* pair) {
    Consumer::sync();
    for (int column = WgmmaThread::of_group(); column < columns; column += T::kGroup) {
      Best best = all_[column];
#pragma unroll
      for (int warp = 1; warp < 4; ++warp) {
        const Best other = all_[warp * T::kWidth + column];
        best.merge(other.value, other.pair);
      }
      best.finish();
      value[column] = best.value;
      pair[column] = best.pair;
    }
    Consumer::sync();  // all have been read
  }

 private:
  Best* all_;
};

template <int kSteps>
__device__ __forceinline__ void consume(const PointMlpDims& d, const PointMlpMaxima& out, int number,
                                        Barriers& barriers) {
  const int pairs = static_cast<int>(d.pairs), hidden = static_cast<int>(d.hidden), in = static_cast<int>(d.in);
  const int features = static_cast<int>(d.features), sets = static_cast<int>(d.tasks * d.groups);
  const float* u = Forward::inputs(number) + WgmmaThread::first_row();
  Consumer consumer(barriers.ring);
  ConsumerMaxima maxima(number);
  std::uint32_t parity = 0;
  for_each_item(d, out.pieces, [&](int first_set, int piece, int tile, int end) {
    maxima.clear();
    for (; tile < end; ++tile) {
      T::Sums z;
      T::Operand a;
      std::uint32_t first[kSteps][4];
      ptx::mbarrier_wait(&barriers.inputs_full[number], parity);
      parity ^= 1;
      first_operand<kSteps>(in, u, first);
      __syncwarp();
      if (lane_index() == 0) ptx::mbarrier_arrive(&barriers.inputs_empty[number]);
      first_layer<kSteps>(first, Forward::first(), z);
      first_activations(z, a);
      // A loop, into which the compiler cannot move what leads to `a`: it would have no registers for it there.
#pragma unroll 1
      for (int bias = Forward::kB3;; bias = Forward::kB6) {
        fill_rows(bias, z);
        consumer.multiply(
            z, [&](int k, std::uint64_t b) { ptx::wgmma_m64n256k16(z, a[k], b, true); }, [](int) {});
        if (bias == Forward::kB6) break;
        second_activations(z, hidden, a);
      }
      maxima.update(z, tile * T::kRows, pairs);
    }
    const int set = first_set + number, column = static_cast<int>(blockIdx.y) * T::kWidth;
    const std::int64_t at = (static_cast<std::int64_t>(piece) * sets + set) * features + column;
    maxima.write(set < sets ? min(T::kWidth, features - column) : 0, out.value + at, out.pair + at);
  });
  consumer.finish();
}

/// Computes  the maximum of z3 over the pairs of a set and the pair that wins, feature by feature
/// Shapes    PointMlpRows, PointMlpBf16Weights -> out [pieces, sets * features]
/// Mapping   a consumer owns a set (or a piece of it) and 256 features, a cluster of two blocks four sets at a time:
///           grid (clusters, blocks of features). The third warpgroup copies weights and prepares inputs
/// Memory    256 KB of weights stream into each multiprocessor, and half of that from L2, per 128 rows of 17 MFLOP
///           each; nothing but maxima is written
/// Numerics  bf16 products, f32 sums; the first layer within 2^-16, LayerNorm in f32; the lowest pair wins a tie; a NaN
///           only where all values are
/// Limits    sm_90a; hidden <= kWidth, in <= kMostInputs
template <int kSteps>
__global__ void __launch_bounds__(T::kThreads, 1)
    point_mlp_maxima_wgmma_kernel(PointMlpRows rows, PointMlpBf16Weights w, PointMlpMaxima out) {
  if (are_shared(rows.values)) return;
  ROAP_SHARED(barriers, Barriers);
  const int group = uniform_warp() / 4, feature_block = static_cast<int>(blockIdx.y);
  if (threadIdx.x == 0) barriers.init();
  if (group < T::kConsumers) {
    const int n = static_cast<int>(threadIdx.x);
    for (int v = 0; v < Forward::kB6; ++v) Forward::vector(v)[n] = w.vectors[v * T::kWidth + n];
    Forward::vector(Forward::kB6)[n] = w.b6[feature_block * T::kWidth + n];
    write_first_layer<kSteps>(static_cast<int>(rows.d.in), w.first, n, n, Forward::first());
    ptx::fence_proxy_async();
  }
  ptx::cluster_sync();
  wgmma_roles([&] { copy_slices(rows.d, w.matrices, feature_block, out.pieces, barriers); },
              [&](int consumer) { prepare_inputs(rows, w.gram, out.pieces, consumer, barriers); },
              [&] { consume<kSteps>(rows.d, out, group, barriers); });
  ptx::cluster_sync();  // the other block may still write to this one's stages and barriers
}

template <int kSteps>
void launch_maxima(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out, Stream stream) {
  constexpr std::int64_t kMostClusters = 66;  // of an H100, one block on a multiprocessor
  const std::int64_t items = pieces_of(rows.d.tasks * rows.d.groups, T::kTilesOfCluster) * out.pieces;
  const auto clusters = static_cast<unsigned>(std::min(items, kMostClusters));
  launch("point_mlp_maxima_wgmma",
         {.grid = {T::kCluster * clusters, static_cast<unsigned>(PointMlpWidth(rows.d).feature_blocks)},
          .block = T::kThreads,
          .shared_bytes = Forward::kSharedBytes,
          .cluster = T::kCluster},
         stream, point_mlp_maxima_wgmma_kernel<kSteps>, rows, w, out);
}

}  // namespace

bool point_mlp_uses_wgmma(const PointMlpDims& d, const PointMlpOptions& options) {
  // Smaller networks would multiply slices of zeros; the kernel for all cards stops before them.
  return options.math == ProductMath::bf16 && options.warpgroups && d.hidden > T::kWidth - T::kDepth &&
         d.hidden <= T::kWidth && d.in <= T::kMostInputs && has_warpgroup_products();
}

void point_mlp_maxima_wgmma(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out,
                            Stream stream) {
  rows.d.in < T::kTermsOfStep ? launch_maxima<1>(rows, w, out, stream) : launch_maxima<2>(rows, w, out, stream);
}

}  // namespace roap::cuda
