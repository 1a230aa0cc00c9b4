#pragma once

#include "kernels/common/read_along.h"
#include "kernels/common/shared.h"

// The f32 matrix product of a block: c[m, n] = sum_k a(m, k) b(n, k), one tile of c per block, on CUDA cores, and sums
// of other terms of a and b. For what must have f32's precision; bf16 products belong on tensor cores.

namespace roap::cuda {

/// Shape of the tile and how many elements of it a thread computes.
struct F32Product {
  static constexpr int kThreads = 256;
  static constexpr int kTile = 64;   ///< rows of a and of b that a block multiplies
  static constexpr int kDepth = 16;  ///< columns of both that are in shared memory at a time
  static constexpr int kPerThread = 4;
  static constexpr int kRowThreads = kTile / kPerThread;
  static constexpr int kPitch = kTile + 4;  ///< of a row in shared memory: 16-byte reads, stores to different banks

  using Slice = float[kDepth][kPitch];
};

/// Fills a slice with operand(row, k) for rows [0, kTile) and k in [first_k, first_k + kDepth); the operand gives zero
/// outside its matrix.
template <ReadAlong kOrder, class Operand>
__device__ __forceinline__ void load_f32_slice(F32Product::Slice& slice, int first_k, const Operand& operand) {
  constexpr int kElements = F32Product::kTile * F32Product::kDepth;
#pragma unroll
  for (int i = 0; i < kElements / F32Product::kThreads; ++i) {
    const int element = static_cast<int>(threadIdx.x) + i * F32Product::kThreads;
    const int k = kOrder == ReadAlong::k ? element % F32Product::kDepth : element / F32Product::kTile;
    const int row = kOrder == ReadAlong::k ? element / F32Product::kDepth : element % F32Product::kTile;
    slice[k][row] = operand(row, first_k + k);
  }
}

/// What a thread computes of the tile, and the first of its neighbouring rows of a and of b. Threads with the same rows
/// of a are kRowThreads neighbouring lanes.
using F32Sums = float[F32Product::kPerThread][F32Product::kPerThread];
__device__ __forceinline__ int first_f32_row_a() {
  return static_cast<int>(threadIdx.x) / F32Product::kRowThreads * F32Product::kPerThread;
}
__device__ __forceinline__ int first_f32_row_b() {
  return static_cast<int>(threadIdx.x) % F32Product::kRowThreads * F32Product::kPerThread;
}

/// Adds the terms of k in [0, depth) to the sums of all threads: sum = add(sum, a, b, i, j) for a thread's row i of a
/// and row j of b. All kThreads threads of the block call it with the same depth. a(row, k) and b(row, k) are functions
/// of the row within the tile and of k in [0, depth rounded up to kDepth), zero outside their matrices, where the term
/// must be zero too. Sums run over k in ascending order.
template <ReadAlong kOrderA, ReadAlong kOrderB, class OperandA, class OperandB, class Add>
__device__ __forceinline__ void add_f32_terms(F32Sums& sums, int depth, const OperandA& a, const OperandB& b,
                                              const Add& add) {
  using P = F32Product;
  ROAP_SHARED_ALIGNED(slice_a, 16, P::Slice);
  ROAP_SHARED_ALIGNED(slice_b, 16, P::Slice);
  const int row_a = first_f32_row_a(), row_b = first_f32_row_b();
  for (int first_k = 0; first_k < depth; first_k += P::kDepth) {
    load_f32_slice<kOrderA>(slice_a, first_k, a);
    load_f32_slice<kOrderB>(slice_b, first_k, b);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < P::kDepth; ++k) {
      const float4 x = *reinterpret_cast<const float4*>(&slice_a[k][row_a]);
      const float4 y = *reinterpret_cast<const float4*>(&slice_b[k][row_b]);
      const float xs[] = {x.x, x.y, x.z, x.w}, ys[] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < P::kPerThread; ++i) {
#pragma unroll
        for (int j = 0; j < P::kPerThread; ++j) sums[i][j] = add(sums[i][j], xs[i], ys[j], i, j);
      }
    }
    __syncthreads();
  }
}

/// The same for the products of a and b.
template <ReadAlong kOrderA, ReadAlong kOrderB, class OperandA, class OperandB>
__device__ __forceinline__ void add_f32_products(F32Sums& sums, int depth, const OperandA& a, const OperandB& b) {
  add_f32_terms<kOrderA, kOrderB>(sums, depth, a, b, [](float sum, float x, float y, int, int) { return sum + x * y; });
}

/// Calls store(row of a, row of b, sum) for every element of the tile.
template <class Store>
__device__ __forceinline__ void for_each_f32_sum(const F32Sums& sums, const Store& store) {
  using P = F32Product;
  const int row_a = first_f32_row_a(), row_b = first_f32_row_b();
#pragma unroll
  for (int i = 0; i < P::kPerThread; ++i) {
#pragma unroll
    for (int j = 0; j < P::kPerThread; ++j) store(row_a + i, row_b + j, sums[i][j]);
  }
}

/// Both for one product: a(row, k) b(row, k) summed over k in [0, depth).
template <ReadAlong kOrderA, ReadAlong kOrderB, class OperandA, class OperandB, class Store>
__device__ __forceinline__ void multiply_f32_tile(int depth, const OperandA& a, const OperandB& b, const Store& store) {
  F32Sums sums = {};
  add_f32_products<kOrderA, kOrderB>(sums, depth, a, b);
  for_each_f32_sum(sums, store);
}

/// Blocks that `size` rows need.
inline unsigned f32_product_tiles(std::int64_t size) {
  return static_cast<unsigned>((size + F32Product::kTile - 1) / F32Product::kTile);
}

}  // namespace roap::cuda
