#pragma once

#include "kernels/point_mlp/point_mlp_backward_wgmma.cuh"

// What a consumer of the backward pass by warpgroups has done for it, see point_mlp_backward_wgmma_cuda.cu.

namespace roap::cuda {

/// Barriers of the ring, of each consumer's input buffers, and of its buffer: full when dz3 is there, empty when its
/// product is complete, for the last block of features when `products` have taken its place. And which tiles there are,
/// which costs no registers here. In dynamic memory, because a static array would take 1 KB in front of it.
struct RowsControl {
  using T = WgmmaTile;
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
struct RowsProblem {
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
class RowsAssistant {
  using T = WgmmaTile;

 public:
  __device__ RowsAssistant(const RowsProblem& problem, RowsControl& control) : p_(problem), control_(control) {}

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

  const RowsProblem& p_;
  RowsControl& control_;
  std::uint32_t parity_ = 0;
  float scalars_[kPairsOfLane] = {};
};

}  // namespace roap::cuda
