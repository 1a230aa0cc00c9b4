#include "kernels/common/launch.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/point_mlp/point_mlp_backward_wgmma.cuh"

namespace roap::cuda {

namespace {

using T = WgmmaTile;

/// Barriers of the ring, of each consumer's input buffers, and of its buffer: full when dz3 is there, empty when its
/// product is complete, for the last block of features when `products` have taken its place. And which tiles there are,
/// which costs no registers here. In dynamic memory, because a static array would take 1 KB in front of it.
struct Control {
  WgmmaRing<WgmmaRows::kStages> ring;
  std::uint64_t inputs_full[T::kConsumers][2], buffer_full[T::kConsumers], buffer_empty[T::kConsumers];
  RowsTiles tiles;

  __device__ void init(int rows, int most) {
    tiles.init(rows, most);
    ring.init();
    for (int i = 0; i < T::kConsumers; ++i) {
      for (std::uint64_t& full : inputs_full[i]) ptx::mbarrier_init(&full, kWarpSize);
      ptx::mbarrier_init(&buffer_full[i], kWarpSize);
      ptx::mbarrier_init(&buffer_empty[i], T::kGroup / kWarpSize);
    }
    ptx::mbarrier_fence_init();
  }
};

/// What all parts of the kernel read.
struct Problem {
  PointMlpBf16Weights w;
  PointMlpWinners winners;
  PointMlpRowMatrices<Bf16> matrices;
  PointMlpBf16Parts parts;
  int in, hidden, feature_blocks, most_rows;

  /// Opaque, so that addresses that follow from it are not kept in registers from step to step.
  [[nodiscard]] __device__ __forceinline__ WgmmaRows shared() const { return {static_cast<int>(ptx::opaque(in))}; }
};

/// The warp that does for a consumer what is not for all of its threads: it prepares inputs and dz3 of a tile, and
/// finishes the tile with what follows from products of its rows.
class Assistant {
 public:
  __device__ Assistant(const Problem& problem, Control& control) : p_(problem), control_(control) {}

  __device__ void run() {
    const int lead = p_.shared().input_buffers() - 1;
    if (lead > 0 && control_.tiles.has(0)) prepare_inputs(0);
#pragma unroll 1
    for (int i = 0; control_.tiles.has(i); ++i) {
      const int first = control_.tiles.first(i, consumer());
      if (control_.tiles.has(i + lead)) prepare_inputs(i + lead);
#pragma unroll 1
      for (int block = 0; block < p_.feature_blocks; ++block) {
        if (block > 0) wait_empty();
        scatter_wins(first, block);
      }
      wait_empty();
      finish_rows(first, p_.shared().inputs(consumer(), p_.shared().input_buffer(i)));
    }
    write_scalars();
  }

 private:
  __device__ void wait_empty() {
    ptx::mbarrier_wait(&control_.buffer_empty[consumer()], parity_);
    parity_ ^= 1;
  }

  __device__ void prepare_inputs(int tile) {
    const int first = control_.tiles.first(tile, consumer()), buffer = p_.shared().input_buffer(tile);
#pragma unroll 1
    for (int row = WgmmaThread::lane(); row < T::kRows; row += kWarpSize) {
      const float* x = p_.winners.x + static_cast<std::int64_t>(first + row) * p_.in;
      split_inputs(p_.in, p_.w.gram, p_.shared().inputs(consumer(), buffer) + row,
                   [&](int j) { return first + row < control_.tiles.rows ? x[j] : 0.0f; });
    }
    ptx::mbarrier_arrive(&control_.inputs_full[consumer()][buffer]);
  }

  /// Buffer = dz3 of feature block `block`: zeros and the gradients of what the rows won.
  __device__ void scatter_wins(int first, int block) {
    const PointMlpWinners& winners = p_.winners;
    const std::int32_t begin = winners.first_win[min(first, control_.tiles.rows)];
    const std::int32_t end = winners.first_win[min(first + T::kRows, control_.tiles.rows)];
    __nv_bfloat16* buffer = WgmmaRows::buffer(consumer());
#pragma unroll 4
    for (int i = WgmmaThread::lane(); i < WgmmaRows::kBuffer / 8; i += kWarpSize) {
      reinterpret_cast<uint4*>(buffer)[i] = make_uint4(0, 0, 0, 0);
    }
    __syncwarp();
    for (std::int32_t i = begin + WgmmaThread::lane(); i < end; i += kWarpSize) {
      const PointMlpWin win = winners.wins[i];
      const int column = win.feature - block * T::kWidth;
      if (column < 0 || column >= T::kWidth) continue;
      const int row = win.row - first, place = point_mlp_place(column), piece = place % T::kDepth / 8;
      buffer[place / T::kDepth * (T::kRows * T::kDepth) + row * T::kDepth + (piece ^ row % 8) * 8 + place % 8] =
          from_float<__nv_bfloat16>(win.dh);
    }
    ptx::fence_proxy_async();
    ptx::mbarrier_arrive(&control_.buffer_full[consumer()]);
  }

  /// dx of the rows, and sums of u_j u_k n.
  __device__ void finish_rows(int first, const float* inputs) {
    const int in = p_.in;
    float* products = WgmmaRows::products(consumer());
    float* n = products + (in + 1) * T::kRows;
    const auto u = [&](int j, int row) {
      const float2 parts = unpack_bf16(__float_as_uint(inputs[j * T::kInputPitch + row]));
      return parts.x + parts.y;
    };
#pragma unroll 1
    for (int row = WgmmaThread::lane(); row < T::kRows; row += kWarpSize) {
      float sum = 0;
#pragma unroll 1
      for (int j = 0; j <= in; ++j) sum += u(j, row) * products[j * T::kRows + row];
      n[row] = sum / static_cast<float>(p_.hidden);
#pragma unroll 1
      for (int j = 1; j < in && first + row < control_.tiles.rows; ++j) {
        float w_xhat = 0;  // w0[., j]' xhat / hidden
#pragma unroll 1
        for (int k = 0; k <= in; ++k) w_xhat += p_.w.gram[j * (in + 1) + k] * u(k, row);
        p_.parts.dx[static_cast<std::int64_t>(first + row) * (in - 1) + j - 1] =
            u(in, row) * (products[j * T::kRows + row] - sum * w_xhat);
      }
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kPairsOfLane; ++i) {
      const int j = pair(i) / (in + 1), k = pair(i) % (in + 1);
      if (j > in) continue;
#pragma unroll 2
      for (int row = 0; row < T::kRows; ++row) scalars_[i] += u(j, row) * (u(k, row) * n[row]);
    }
    __syncwarp();  // before the buffer becomes dz3 again
  }

  __device__ void write_scalars() const {
    const int in = p_.in;
    const std::int64_t part = T::kConsumers * static_cast<std::int64_t>(blockIdx.x) + consumer();
#pragma unroll
    for (int i = 0; i < kPairsOfLane; ++i) {
      const int j = pair(i) / (in + 1), k = pair(i) % (in + 1);
      if (j <= in) p_.parts.scalars[(part * (in + 1) + j) * (in + 2) + 1 + k] = scalars_[i];
    }
  }

  static __device__ __forceinline__ int consumer() { return WgmmaThread::warp(); }
  static constexpr int kPairsOfLane = (T::kMostInputs + 1) * (T::kMostInputs + 1) / kWarpSize;
  /// The lane's pairs (j, k).
  [[nodiscard]] static __device__ __forceinline__ int pair(int i) { return WgmmaThread::lane() + i * kWarpSize; }

  const Problem& p_;
  Control& control_;
  std::uint32_t parity_ = 0;
  float scalars_[kPairsOfLane] = {};
};

/// One thread of each block copies all matrices for every tile.
__device__ __forceinline__ void copy_matrices(const Problem& p, Control& control) {
  WgmmaSliceCopier copier(control.ring);
  const int slices = (2 + p.feature_blocks) * T::kSlices;
  for (int i = 0; control.tiles.has(i); ++i) {
    for (int slice = 0; slice < slices; ++slice) {
      copier.copy(p.w.matrices + static_cast<std::int64_t>(slice) * T::kSlice);
    }
  }
}

/// What a consumer does. A tile's sums z and activations a, as an operand, stay in registers all the way.
template <int kSteps>
class Backward {
 public:
  __device__ __forceinline__ Backward(const Problem& problem, Control& control)
      : p_(problem), control_(control), consumer_(control.ring) {
    SecondSumsTurns::start();
    FirstSumsTurns::start();
  }

  __device__ __forceinline__ void run() {
#pragma unroll 1
    for (int i = 0; control_.tiles.has(i); ++i) {
      T::Sums z;
      T::Operand a;
      std::uint32_t masks[4];
      float rstd[2];
      compute_again(i, z, a, masks, rstd);
      second_backward(i, z, a, masks, rstd);
      consumer_.multiply(z, [&](int k, std::uint64_t b) { ptx::wgmma_m64n256k16(z, a[k], b, k > 0); });
      first_backward(i, z, a, masks);
    }
    RowsConsumer::finish();
    SecondSumsTurns::finish();
    FirstSumsTurns::finish();
  }

 private:
  /// To a = xhat2, and which activations of the first layer are above zero.
  __device__ __forceinline__ void compute_again(int i, T::Sums& z, T::Operand& a, std::uint32_t (&masks)[4],
                                                float (&rstd)[2]) {
    std::uint32_t inputs[kSteps][4];
    ptx::mbarrier_wait(&control_.inputs_full[number()][p_.shared().input_buffer(i)], p_.shared().input_round(i) % 2);
    first_operand<kSteps>(p_.in, u(i) + WgmmaThread::first_row(), inputs);
    first_layer<kSteps>(inputs, p_.shared().first(), z);
    first_activations(z, a, masks);
    store(i, a, p_.matrices.a1);
    fill_rows(p_.w.vectors, z);
    consumer_.multiply(z, [&](int k, std::uint64_t b) { ptx::wgmma_m64n256k16(z, a[k], b, true); });
    second_rstd(z, p_.hidden, rstd);
    normalise(z, rstd, a);
    store(i, a, p_.matrices.xhat2);
  }

  /// To a = dz2.
  __device__ __forceinline__ void second_backward(int i, T::Sums& z, T::Operand& a, std::uint32_t (&masks)[4],
                                                  const float (&rstd)[2]) {
#pragma unroll 1
    for (int block = 0; block < p_.feature_blocks; ++block) {
      if (block > 0) release_buffer();
      ptx::mbarrier_wait(&control_.buffer_full[number()], (i * p_.feature_blocks + block) % 2);
      const std::uint64_t dz3 = ptx::wgmma_descriptor(buffer());
      consumer_.multiply(z, [&](int k, std::uint64_t b) {
        constexpr int kTile = T::kRows * T::kDepth * 2 >> 4, kOfTile = T::kDepth / 16;
        ptx::wgmma_m64n256k16(z, dz3 + k / kOfTile * kTile + k % kOfTile * T::kNextDepth, b, block > 0 || k > 0);
      });
    }
    const auto of_warps = [] { return SumsOfWarps{reinterpret_cast<float*>(buffer())}; };
    const auto kept_masks = [&] {  // while there are no registers for them
      return reinterpret_cast<uint4*>(of_warps().sums + SumsOfWarps::kCount) + WgmmaThread::of_group();
    };
    RowsConsumer::sync();  // all warps have read dz3
    *kept_masks() = make_uint4(masks[0], masks[1], masks[2], masks[3]);
    float mean[2], mean_xhat[2];
    forget(a);
    second_relu_backward(p_.hidden, a, of_warps(), z, mean, mean_xhat);
    forget(a);
    second_norm_backward(z, rstd, mean, mean_xhat, a);
    forget(a);
    store(i, a, p_.matrices.dz2);
    sum_second(a, of_warps());
    RowsConsumer::sync();
    add_second_sums(of_warps());
    const uint4 kept = *kept_masks();
    masks[0] = kept.x, masks[1] = kept.y, masks[2] = kept.z, masks[3] = kept.w;
  }

  /// From z = da1 to the sums of the first layer and what the tile is finished with.
  __device__ __forceinline__ void first_backward(int i, T::Sums& z, T::Operand& a, const std::uint32_t (&masks)[4]) {
    float products[kSteps][2];
    first_relu_backward(z, masks, a);
    first_row_products<kSteps>(a, p_.shared().first(), products);
    transpose_rows(a, buffer());
    RowsConsumer::sync();
    sum_over_rows(p_.in, u(i), buffer(), z);
    RowsConsumer::sync();  // all warps have read the buffer
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const int term = T::kTermsOfStep * step + WgmmaThread::lane() % 4;
      float* of_row = WgmmaRows::products(number()) + term * T::kRows + WgmmaThread::first_row();
      if (term <= p_.in) of_row[0] = products[step][0], of_row[8] = products[step][1];
    }
    release_buffer();
    add_first_sums(p_.in, z);
  }

  static __device__ __forceinline__ int number() { return WgmmaThread::consumer(); }
  static __device__ __forceinline__ __nv_bfloat16* buffer() { return WgmmaRows::buffer(number()); }
  [[nodiscard]] __device__ __forceinline__ const float* u(int i) const {
    return p_.shared().inputs(number(), p_.shared().input_buffer(i));
  }
  __device__ __forceinline__ void store(int i, T::Operand& a, __nv_bfloat16* out) const {
    store_rows(a, control_.tiles.first(i, number()), control_.tiles.stored, out);
  }
  __device__ __forceinline__ void release_buffer() const {
    __syncwarp();
    if (WgmmaThread::lane() == 0) ptx::mbarrier_arrive(&control_.buffer_empty[number()]);
  }

  const Problem& p_;
  Control& control_;
  RowsConsumer consumer_;
};

/// The block's part of the vectors, and the sums over rows of u_j m: the mean over columns of gamma1 times those of
/// u_j g. After all warps are through.
__device__ __forceinline__ void write_parts(const Problem& p) {
  const WgmmaRows shared = p.shared();
  const float* totals = WgmmaRows::totals();
  const int count = shared.vectors() * T::kWidth;
  float* part = p.parts.vectors + static_cast<std::int64_t>(blockIdx.x) * count;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += T::kThreads) part[i] = totals[i];
  for (int j = warp_index(); j <= p.in; j += T::kThreads / kWarpSize) {
    float sum = 0;
#pragma unroll 1
    for (int c = lane_index(); c < T::kWidth; c += kWarpSize) {
      sum += p.w.vectors[3 * T::kWidth + c] * totals[(kPointMlpBf16Vectors + j) * T::kWidth + c];
    }
    sum = warp_sum(sum);
    if (lane_index() >= T::kConsumers) continue;  // the second one's part has none
    const std::int64_t of_part = T::kConsumers * static_cast<std::int64_t>(blockIdx.x) + lane_index();
    p.parts.scalars[(of_part * (p.in + 1) + j) * (p.in + 2)] =
        lane_index() == 0 ? sum / static_cast<float>(p.hidden) : 0;
  }
}

/// Computes  the network again on the winning rows, then the gradients of their symbols and sums over rows for those of
///           small weights; a1, xhat2 and dz2, for those of w3 and w6
/// Shapes    PointMlpBf16Weights by_place, PointMlpWinners -> PointMlpRowMatrices, PointMlpBf16Parts
/// Mapping   a consumer owns tiles of 64 rows, a cluster of two blocks four at a time; consumers multiply in turns. In
///           the third warpgroup one warp copies weights, and one for each consumer prepares inputs and dz3 of its
///           tiles and finishes them. Sums over rows of the first layer are products, too, of g by columns; those of
///           the second are merged within warps
/// Memory    25 MFLOP a tile; for them 96 KB of weights stream from L2 (192 KB into shared memory), and 96 KB of a1,
///           xhat2 and dz2 are written: 128 FLOP/B of L2, 256 of memory. Sums over rows stay in shared memory
/// Numerics  bf16 products, f32 sums and statistics; the first layer within 2^-16. Sums over rows and dx follow from g
///           of the first layer and dz2 rounded to bf16. Rows behind the end contribute zeros; sums run over tiles and
///           consumers in order
/// Limits    sm_90a; hidden <= kWidth, in <= kMostInputs
template <int kSteps>
__global__ void __launch_bounds__(T::kThreads, 1)
    point_mlp_backward_rows_wgmma_kernel(const __grid_constant__ Problem p) {
  static_assert(sizeof(Control) <= WgmmaRows::kControlBytes);
  auto& control = *dynamic_shared<Control>(WgmmaRows::kControlAt);
  const WgmmaRows shared{p.in};
  const int group = uniform_warp() / 4;
  if (threadIdx.x == 0) control.init(*p.winners.rows, p.most_rows);
  if (group < T::kConsumers) {
    const int n = static_cast<int>(threadIdx.x);
    for (int v = 0; v < 2; ++v) WgmmaRows::vector(v)[n] = p.w.vectors[(1 + v) * T::kWidth + n];
    for (int v = 0; v < shared.vectors(); ++v) WgmmaRows::totals()[v * T::kWidth + n] = 0;
    write_first_layer<kSteps>(p.in, p.w.first, n, point_mlp_place(n), shared.first());
    ptx::fence_proxy_async();
  }
  ptx::cluster_sync();
  if (group == T::kConsumers) {
    ptx::setmaxnreg_decrease<40>();
    const int warp = uniform_warp() % 4;
    if (warp == T::kConsumers) {
      if (lane_index() == 0) copy_matrices(p, control);
      __syncwarp();
    } else if (warp < T::kConsumers) {
      Assistant(p, control).run();
    }
  } else {
    ptx::setmaxnreg_increase<232>();
    Backward<kSteps>(p, control).run();
  }
  ptx::cluster_sync();  // totals are complete; and the other block may still write to this one's stages and barriers
  write_parts(p);
}

template <int kSteps>
void launch_rows(const Problem& problem, int blocks, Stream stream) {
  launch("point_mlp_backward_rows_wgmma",
         {.grid = static_cast<unsigned>(blocks),
          .block = T::kThreads,
          .shared_bytes = WgmmaRows{problem.in}.shared_bytes(),
          .cluster = T::kCluster},
         stream, point_mlp_backward_rows_wgmma_kernel<kSteps>, problem);
}

}  // namespace

int point_mlp_backward_wgmma_blocks(const PointMlpDims& d) {
  constexpr std::int64_t kMostClusters = 66;  // of an H100, one block on a multiprocessor
  return T::kCluster * static_cast<int>(std::clamp<std::int64_t>(
                           pieces_of(point_mlp_most_winners(d), T::kTilesOfCluster * T::kRows), 1, kMostClusters));
}

void point_mlp_backward_rows_wgmma(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpWinners& winners,
                                   const PointMlpRowMatrices<Bf16>& matrices, const PointMlpBf16Parts& parts,
                                   int blocks, Stream stream) {
  const Problem problem{w,
                        winners,
                        matrices,
                        parts,
                        static_cast<int>(d.in),
                        static_cast<int>(d.hidden),
                        PointMlpWidth(d).feature_blocks,
                        static_cast<int>(point_mlp_most_winners(d))};
  d.in < T::kTermsOfStep ? launch_rows<1>(problem, blocks, stream) : launch_rows<2>(problem, blocks, stream);
}

}  // namespace roap::cuda
