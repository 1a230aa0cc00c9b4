#include "kernels/common/hopper.h"
#include "kernels/common/launch.h"
#include "kernels/common/ptx/fence.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/point_mlp/point_mlp_wgmma_tile.cuh"

namespace roap::cuda {

namespace {

using T = WgmmaTile;

/// One of the two warpgroups that multiply. A thread holds, of the sums z [64][256] of its warpgroup, rows 16 warp +
/// lane / 4 (in z[4 j], z[4 j + 1]) and 8 more (in the next two), columns 8 j + 2 (lane % 4) and the next one.
class Consumer {
 public:
  __device__ __forceinline__ Consumer(int number, WgmmaBarriers& barriers) : number_(number), barriers_(barriers) {
    if (number_ == 1) pass_turn();
  }

  /// z = w0 x + b0, normalised, before the ReLU.
  template <int kSteps>
  __device__ __forceinline__ void first_layer(T::Sums& z) {
    const auto* u =
        reinterpret_cast<const std::uint32_t*>(T::inputs(number_)) + first_row() + lane_index() % 4 * T::kInputPitch;
    std::uint32_t a[kSteps][4];
    ptx::mbarrier_wait(&barriers_.inputs_full[number_], inputs_parity_);
    inputs_parity_ ^= 1;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      constexpr std::uint32_t kOne = 0x3f800000;  // bf16, in the upper half
      const std::uint32_t third = step == 0 && lane_index() % 4 < 3 ? kOne : 0;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const std::uint32_t split = u[step * T::kTermsOfStep * T::kInputPitch + 8 * half];
        a[step][half] = __byte_perm(split, split, 0x1010);
        a[step][half + 2] = split >> 16 | third;
      }
    }
    const std::uint64_t b = ptx::wgmma_descriptor(T::first());
    ptx::wgmma_fence();
#pragma unroll
    for (int step = 0; step < kSteps; ++step) ptx::wgmma_m64n256k16(z, a[step], b + kNextDepth * step, step > 0);
    ptx::wgmma_commit_group();
    __syncwarp();
    if (lane_index() == 0) ptx::mbarrier_arrive(&barriers_.inputs_empty[number_]);
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_keep(z);
  }

  /// z += a times the next matrix, in this consumer's turn.
  __device__ __forceinline__ void multiply(T::Sums& z, const T::Operand& a) {
    ptx::named_barrier_sync(kTurn + number_, T::kConsumers * T::kGroup);
    int previous = 0;
#pragma unroll
    for (int slice = 0; slice < T::kSlices; ++slice) {
      ptx::mbarrier_wait(&barriers_.full[ring_.stage], ring_.parity);
      const std::uint64_t b = ptx::wgmma_descriptor(T::stage(ring_.stage));
      ptx::wgmma_fence();
#pragma unroll
      for (int i = 0; i < T::kDepth / 16; ++i) {
        ptx::wgmma_m64n256k16(z, a[T::kDepth / 16 * slice + i], b + kNextDepth * i, true);
      }
      ptx::wgmma_commit_group();
      if (slice > 0) {
        ptx::wgmma_wait_group<1>();
        release(previous);
      }
      previous = ring_.stage;
      ring_.advance(T::kStages);
    }
    pass_turn();
    ptx::wgmma_wait_group<0>();
    ptx::wgmma_keep(z);
    release(previous);
  }

  /// The turn that the other one passed after its last product.
  __device__ __forceinline__ void finish() {
    if (number_ == 0) ptx::named_barrier_sync(kTurn, T::kConsumers * T::kGroup);
  }
  /// Waits for all threads of this consumer.
  __device__ __forceinline__ void sync() const { ptx::named_barrier_sync(kMaxima + number_, T::kGroup); }
  [[nodiscard]] __device__ __forceinline__ int number() const { return number_; }
  [[nodiscard]] static __device__ __forceinline__ int warp() { return warp_index() % 4; }
  [[nodiscard]] static __device__ __forceinline__ int first_row() { return 16 * warp() + lane_index() / 4; }

 private:
  static constexpr std::uint32_t kTurn = 1, kMaxima = kTurn + T::kConsumers;  // named barriers
  static constexpr std::uint64_t kNextDepth = 2;                              // 32 bytes on, in a descriptor

  __device__ __forceinline__ void pass_turn() const {
    ptx::named_barrier_arrive(kTurn + 1 - number_, T::kConsumers * T::kGroup);
  }
  /// A stage whose products are complete: to both blocks, one thread each.
  __device__ __forceinline__ void release(int stage) const {
    if (threadIdx.x % T::kGroup < T::kCluster) {
      ptx::mbarrier_arrive_remote(&barriers_.empty[stage], threadIdx.x % T::kGroup);
    }
  }

  int number_;
  WgmmaBarriers& barriers_;
  StageRing ring_;
  std::uint32_t inputs_parity_ = 0;
};

__device__ __forceinline__ float2 pair_of(int vector, int j) {
  return *reinterpret_cast<const float2*>(T::vector(vector) + 8 * j + lane_index() % 4 * 2);
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
  float squares[4] = {}, rstd[2];  // of even and odd columns of both rows
#pragma unroll
  for (int i = 0; i < 128; ++i) squares[i % 4] += z[i] * z[i];
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float sum = group_sum<4>(squares[2 * row] + squares[2 * row + 1]);
    rstd[row] = rsqrtf(sum / static_cast<float>(hidden) + kPointMlpEpsilon);
  }
#pragma unroll
  for (int k = 0; k < T::kWidth / 16; ++k) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 gamma = pair_of(T::kGamma4, 2 * k + half), beta = pair_of(T::kBeta4, 2 * k + half);
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
  __device__ __forceinline__ explicit ConsumerMaxima(const Consumer& consumer)
      : consumer_(consumer), all_(T::maxima(consumer.number())) {}

  __device__ __forceinline__ void clear() {
    for (int i = lane_index(); i < T::kWidth; i += kWarpSize) all_[Consumer::warp() * T::kWidth + i] = Best{};
    __syncwarp();
  }
  /// Rows of the tile are elements first ... of a set of `count`.
  __device__ __forceinline__ void update(const T::Sums& z, int first, int count) {
    const int pair = first + Consumer::first_row();
    const bool inside[2] = {pair < count, pair + 8 < count};
    Best* columns = all_ + Consumer::warp() * T::kWidth + lane_index() % 4 * 2;
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
    consumer_.sync();
    for (int column = static_cast<int>(threadIdx.x) % T::kGroup; column < columns; column += T::kGroup) {
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
    consumer_.sync();  // all have been read
  }

 private:
  const Consumer& consumer_;
  Best* all_;
};

template <int kSteps>
__device__ __forceinline__ void consume(const PointMlpDims& d, const PointMlpMaxima& out, int number,
                                        WgmmaBarriers& barriers) {
  const int pairs = static_cast<int>(d.pairs), hidden = static_cast<int>(d.hidden);
  const int features = static_cast<int>(d.features), sets = static_cast<int>(d.tasks * d.groups);
  Consumer consumer(number, barriers);
  ConsumerMaxima maxima(consumer);
  for_each_wgmma_item(d, out.pieces, [&](int first_set, int piece, int tile, int end) {
    maxima.clear();
    for (; tile < end; ++tile) {
      T::Sums z;
      T::Operand a;
      consumer.first_layer<kSteps>(z);
      first_activations(z, a);
      // A loop, into which the compiler cannot move what leads to `a`: it would have no registers for it there.
#pragma unroll 1
      for (int bias = T::kB3;; bias = T::kB6) {
        fill_rows(bias, z);
        consumer.multiply(z, a);
        if (bias == T::kB6) break;
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
  ROAP_SHARED(barriers, WgmmaBarriers);
  const int group = uniform_warp() / 4, feature_block = static_cast<int>(blockIdx.y);
  if (threadIdx.x == 0) barriers.init();
  if (group < T::kConsumers) {
    const int n = static_cast<int>(threadIdx.x);
    for (int v = 0; v < T::kB6; ++v) T::vector(v)[n] = w.vectors[v * T::kWidth + n];
    T::vector(T::kB6)[n] = w.b6[feature_block * T::kWidth + n];
    write_first_layer<kSteps>(static_cast<int>(rows.d.in), w.first);
    ptx::fence_proxy_async();
  }
  ptx::cluster_sync();
  if (group == T::kConsumers) {
    ptx::setmaxnreg_decrease<40>();
    const int warp = uniform_warp() % 4;
    if (warp == T::kConsumers) {
      if (lane_index() == 0) copy_slices(rows.d, w.matrices, feature_block, out.pieces, barriers);
      __syncwarp();
    } else if (warp < T::kConsumers) {
      prepare_inputs(rows, w.gram, out.pieces, warp, barriers);
    }
  } else {
    ptx::setmaxnreg_increase<232>();
    consume<kSteps>(rows.d, out, group, barriers);
  }
  ptx::cluster_sync();  // the other block may still write to this one's stages and barriers
}

template <int kSteps>
void launch_maxima(const PointMlpRows& rows, const PointMlpBf16Weights& w, const PointMlpMaxima& out, Stream stream) {
  constexpr std::int64_t kMostClusters = 66;  // of an H100, one block on a multiprocessor
  const std::int64_t items = pieces_of(rows.d.tasks * rows.d.groups, T::kSetsOfCluster) * out.pieces;
  const auto clusters = static_cast<unsigned>(std::min(items, kMostClusters));
  launch("point_mlp_maxima_wgmma",
         {.grid = {T::kCluster * clusters, static_cast<unsigned>(PointMlpWidth(rows.d).feature_blocks)},
          .block = T::kThreads,
          .shared_bytes = T::kSharedBytes,
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
