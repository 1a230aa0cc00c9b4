#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_backward_assistant.cuh"
#include "kernels/point_mlp/point_mlp_backward_wgmma.cuh"

namespace roap::cuda {

namespace {

using T = WgmmaTile;

/// One thread of each block copies all matrices for every tile.
__device__ __forceinline__ void copy_matrices(const RowsProblem& p, RowsControl& control) {
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
  __device__ __forceinline__ Backward(const RowsProblem& problem, RowsControl& control)
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
      multiply(z, a, [&](int part) {
        // Always true, but the compiler does not know, and so does none of this before the product, where it would have
        // to spill.
        if (control_.tiles.has(i)) sum_part(part, a, of_warps());
      });
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
    multiply(z, a, [](int) {});
    add_to_rows(p_.w.vectors, z);
    second_rstd(z, p_.hidden, rstd);
    normalise(z, rstd, a);
  }

  /// To a = dz2.
  __device__ __forceinline__ void second_backward(int i, T::Sums& z, T::Operand& a, const std::uint32_t (&masks)[4],
                                                  const float (&rstd)[2]) {
#pragma unroll 1
    for (int block = 0; block < p_.feature_blocks; ++block) {
      if (block > 0) release_buffer();
      ptx::mbarrier_wait(&control_.buffer_full[number()], (i * p_.feature_blocks + block) % 2);
      const std::uint64_t dz3 = ptx::wgmma_descriptor(buffer());
      const auto product = [&](int k, std::uint64_t b) {
        constexpr int kTile = T::kRows * T::kDepth * 2 >> 4, kOfTile = T::kDepth / 16;
        ptx::wgmma_m64n256k16(z, dz3 + k / kOfTile * kTile + k % kOfTile * T::kNextDepth, b, block > 0 || k > 0);
      };
      consumer_.multiply(z, product, [&](int part) {
        if (block == 0) store(i, part, a, p_.matrices.xhat2);
      });
    }
    RowsConsumer::sync();  // all warps have read dz3
    *kept_masks() = make_uint4(masks[0], masks[1], masks[2], masks[3]);
    float mean[2], mean_xhat[2];
    forget(a);
    second_relu_backward(p_.hidden, a, of_warps(), z, mean, mean_xhat);
    forget(a);
    second_norm_backward(z, rstd, mean, mean_xhat, a);
    forget(a);
    store(i, a, p_.matrices.dz2);
  }

  /// From z = da1 to the sums of the first layer and what the tile is finished with.
  __device__ __forceinline__ void first_backward(int i, T::Sums& z, T::Operand& a, std::uint32_t (&masks)[4]) {
    RowsConsumer::sync();
    add_second_sums(of_warps());
    const uint4 kept = *kept_masks();
    masks[0] = kept.x, masks[1] = kept.y, masks[2] = kept.z, masks[3] = kept.w;
    float products[kSteps][2];
    first_relu_backward(z, masks, a);
    first_row_products<kSteps>(a, p_.shared().first(), products);
    RowsConsumer::sync();  // all have read what the warps left
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
  static __device__ __forceinline__ SumsOfWarps of_warps() { return {reinterpret_cast<float*>(buffer())}; }
  /// Of a thread, while it has no registers for them.
  static __device__ __forceinline__ uint4* kept_masks() {
    return reinterpret_cast<uint4*>(of_warps().sums + SumsOfWarps::kCount) + WgmmaThread::of_group();
  }
  [[nodiscard]] __device__ __forceinline__ const float* u(int i) const {
    return p_.shared().inputs(number(), p_.shared().input_buffer(i));
  }
  __device__ __forceinline__ void store(int i, int part, T::Operand& a, __nv_bfloat16* out) const {
    store_part(part, a, control_.tiles.first(i, number()), control_.tiles.stored, out);
  }
  /// All parts. Before a product, after which the compiler would leave the rounding to bf16 until the consumer's turn.
  __device__ __forceinline__ void store(int i, T::Operand& a, __nv_bfloat16* out) const {
#pragma unroll
    for (int part = 0; part < T::kSlices; ++part) store(i, part, a, out);
  }
  /// z = a times the next matrix.
  template <class Meanwhile>
  __device__ __forceinline__ void multiply(T::Sums& z, const T::Operand& a, const Meanwhile& meanwhile) {
    consumer_.multiply(
        z, [&](int k, std::uint64_t b) { ptx::wgmma_m64n256k16(z, a[k], b, k > 0); }, meanwhile);
  }
  __device__ __forceinline__ void release_buffer() const {
    __syncwarp();
    if (WgmmaThread::lane() == 0) ptx::mbarrier_arrive(&control_.buffer_empty[number()]);
  }

  const RowsProblem& p_;
  RowsControl& control_;
  RowsConsumer consumer_;
};

/// The block's part of the vectors, and the sums over rows of u_j m: the mean over columns of gamma1 times those of
/// u_j g. After all warps are through.
__device__ __forceinline__ void write_parts(const RowsProblem& p) {
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
    point_mlp_backward_rows_wgmma_kernel(const __grid_constant__ RowsProblem p) {
  static_assert(sizeof(RowsControl) <= WgmmaRows::kControlBytes);
  auto& control = *dynamic_shared<RowsControl>(WgmmaRows::kControlAt);
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
  wgmma_roles([&] { copy_matrices(p, control); }, [&](int) { RowsAssistant(p, control).run(); },
              [&] { Backward<kSteps>(p, control).run(); });
  ptx::cluster_sync();  // totals are complete; and the other block may still write to this one's stages and barriers
  write_parts(p);
}

template <int kSteps>
void launch_rows(const RowsProblem& problem, int blocks, Stream stream) {
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
  const RowsProblem problem{w,
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
