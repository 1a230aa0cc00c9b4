#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/point_mlp/point_mlp_backward_mma.cuh"

namespace roap::cuda {

namespace {

/// One tile of rows, of which the first is row `first` of `count`.
template <int kWidth>
__device__ __forceinline__ void backward_tile(const PointMlpDims& dims, const PointMlpBf16Weights& w,
                                              const PointMlpWinners& winners, const PointMlpRowMatrices<Bf16>& matrices,
                                              int feature_blocks, MmaWeightStream<kWidth>& weights,
                                              const ColumnSums<kWidth>& sums, int first, int count) {
  using Tile = MmaTile<kWidth>;
  using Backward = MmaBackward<kWidth>;
  const int in = static_cast<int>(dims.in), hidden = static_cast<int>(dims.hidden);
  load_inputs_mma<kWidth>(in, w.gram, first, count,
                          [&](int row, int input) { return winners.x[static_cast<std::int64_t>(row) * in + input]; });
  __syncthreads();
  first_layer_mma<kWidth>(in, w.first, [](int row, int word, bool positive, bool next_positive) {
    const unsigned even = __ballot_sync(kAllLanes, positive), odd = __ballot_sync(kAllLanes, next_positive);
    if (lane_index() != 0) return;
    std::uint32_t* mask = Backward::masks() + row * Backward::kWords + 2 * word;
    mask[0] = even;
    mask[1] = odd;
  });
  __syncthreads();
  write_activations<kWidth>(first, count, matrices.a1);

  typename Tile::Sums d;
  float rstd[2][2];
  fill_rows<kWidth>(Tile::vector(0), d);
  multiply_mma<kWidth>(weights, hidden, d);
  centred_rstd<kWidth>(hidden, d, rstd);
  const MmaThread<kWidth> thread;
  for_pairs<kWidth>([&](int m, int h, int j) {
    activation_pair(thread, m, h, j) = pack_bf16(d[m][j][2 * h] * rstd[m][h], d[m][j][2 * h + 1] * rstd[m][h]);
  });
  __syncthreads();
  write_activations<kWidth>(first, count, matrices.xhat2);

  for_pairs<kWidth>([&](int m, int h, int j) { d[m][j][2 * h] = d[m][j][2 * h + 1] = 0; });
#pragma unroll 1
  for (int block = 0; block < feature_blocks; ++block) {
    __syncthreads();  // nobody reads activations any more
    scatter_wins<kWidth>(winners, first, count, block);
    multiply_mma<kWidth>(weights, kWidth, d);
  }
  __syncthreads();
  read_activations<kWidth>(first, count, matrices.xhat2);
  __syncthreads();
  second_backward<kWidth>(hidden, rstd, sums, d);
  __syncthreads();
  write_activations<kWidth>(first, count, matrices.dz2);

  for_pairs<kWidth>([&](int m, int h, int j) { d[m][j][2 * h] = d[m][j][2 * h + 1] = 0; });
  multiply_mma<kWidth>(weights, hidden, d);
  first_backward_mma<kWidth>(in, w, sums, d);
}

/// Computes  the network again on the winning rows, then the gradients of their symbols and sums over rows for those of
///           small weights; a1, xhat2 and dz2, for those of w3 and w6
/// Shapes    PointMlpBf16Weights, PointMlpWinners -> PointMlpRowMatrices, PointMlpBf16Parts
/// Mapping   a block owns every so many consecutive tiles of 128 rows; parts of vectors belong to 32 rows of the tiles
/// Memory    weights (384 KB for 256 columns) stream from L2 once per tile; a1, xhat2, dz2 are written
///           once, xhat2 read once, because there is no room for it on the chip
/// Numerics  bf16 products, f32 sums and statistics; rows behind the end contribute zeros; sums run over tiles in order
/// Limits    hidden <= kWidth, in <= kPointMlpMostInputs
template <int kWidth>
__global__ void __launch_bounds__(MmaTile<kWidth>::kThreads, 1)
    point_mlp_backward_rows_mma_kernel(PointMlpDims d, PointMlpBf16Weights w, PointMlpWinners winners,
                                       PointMlpRowMatrices<Bf16> matrices, PointMlpBf16Parts parts) {
  using Tile = MmaTile<kWidth>;
  const int in = static_cast<int>(d.in);
  const int feature_blocks = (static_cast<int>(d.features) + kWidth - 1) / kWidth;
  const int count = *winners.rows, tiles = (count + Tile::kRows - 1) / Tile::kRows;
  const int pieces = min(static_cast<int>(gridDim.x), tiles), piece = static_cast<int>(blockIdx.x);
  if (piece >= pieces) return;
  const auto begin_of = [&](int p) { return static_cast<int>(static_cast<std::int64_t>(p) * tiles / pieces); };
  const int first_tile = begin_of(piece), last_tile = begin_of(piece + 1);
  const int part = piece * Tile::kRowWarps + warp_index() % Tile::kRowWarps;
  ColumnSums<kWidth> sums{parts.vectors + static_cast<std::int64_t>(part) * (kPointMlpBf16Vectors + in + 1) * kWidth,
                          true};
  float* scalars = parts.scalars + static_cast<std::int64_t>(piece) * (in + 1) * (in + 2);
  MmaWeightStream<kWidth> weights(w.matrices, 1, 1 + feature_blocks, last_tile - first_tile);
  load_vectors<kWidth>(w, 0);
  for (int tile = first_tile; tile < last_tile; ++tile) {
    const int first = tile * Tile::kRows;
    backward_tile<kWidth>(d, w, winners, matrices, feature_blocks, weights, sums, first, count);
    finish_rows<kWidth>(in, static_cast<int>(d.hidden), w.gram, first, count, parts.dx, scalars, sums.first);
    sums.first = false;
    __syncthreads();  // before the next tile's inputs replace these
  }
}

constexpr int kFirstThreads = 256;

/// Computes  dgamma1, and dw0 and db0 as the gradients of the columns j of (w0, b0):
///           gamma1 S_j - M_j - sum_k wc_k N_jk,  dgamma1 = sum_j wc_j S_j,  wc the centred columns
/// Shapes    S [in + 1, width], (M, N) [in + 1, in + 2] -> PointMlpWeights
/// Mapping   a thread owns a hidden unit
/// Memory    everything is read once
/// Numerics  f32
__global__ void __launch_bounds__(kFirstThreads)
    point_mlp_first_gradients_kernel(PointMlpDims d, int width, const float* centred, const float* gamma1,
                                     const float* s, PointMlpWeights<float> dw) {
  const int c = static_cast<int>(threadIdx.x), in = static_cast<int>(d.in);
  if (c >= static_cast<int>(d.hidden)) return;
  const float* scalars = s + (in + 1) * width;
  float dgamma = 0;
  for (int j = 0; j <= in; ++j) {
    dgamma += centred[j * width + c] * s[j * width + c];
    float gradient = gamma1[c] * s[j * width + c] - scalars[j * (in + 2)];
    for (int k = 0; k <= in; ++k) gradient -= centred[k * width + c] * scalars[j * (in + 2) + 1 + k];
    if (j < in && dw.w0 != nullptr) dw.w0[c * in + j] = gradient;
    if (j == in && dw.b0 != nullptr) dw.b0[c] = gradient;
  }
  if (dw.gamma1 != nullptr) dw.gamma1[c] = dgamma;
}

}  // namespace

void point_mlp_backward_rows_mma(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpWinners& winners,
                                 const PointMlpRowMatrices<Bf16>& matrices, const PointMlpBf16Parts& parts,
                                 Stream stream) {
  with_point_mlp_width(PointMlpWidth(d).width, [&]<int kWidth>() {
    launch("point_mlp_backward_rows_mma",
           {.grid = kPointMlpPieces,
            .block = MmaTile<kWidth>::kThreads,
            .shared_bytes = MmaBackward<kWidth>::kSharedBytes},
           stream, point_mlp_backward_rows_mma_kernel<kWidth>, d, w, winners, matrices, parts);
  });
}

void point_mlp_first_gradients(const PointMlpDims& d, const PointMlpBf16Weights& w, const PointMlpBf16Parts& parts,
                               const PointMlpWeights<float>& dw, Stream stream) {
  const int width = PointMlpWidth(d).width;
  static_assert(kFirstThreads >= kPointMlpMostHidden);
  launch("point_mlp_first_gradients", {.grid = 1, .block = kFirstThreads}, stream, point_mlp_first_gradients_kernel, d,
         width, w.centred, w.vectors + 3 * width, parts.first, dw);
}

}  // namespace roap::cuda
