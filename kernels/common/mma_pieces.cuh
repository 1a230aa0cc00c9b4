#pragma once

#include <cuda_bf16.h>

#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/reduce.cuh"

// bf16 matrices in shared memory as operands of mma: rows of kPieces 16-byte pieces, at least eight. Pieces are
// swizzled (piece p of row r lies at p ^ r % 8), so that ldmatrix reads the same piece of eight neighbouring rows
// without bank conflicts.

namespace roap::cuda {

inline constexpr int kPiece = 8;  ///< elements of a 16-byte piece

/// Where this lane's row for ldmatrix_x4 begins: 16 rows from `row` (a multiple of 8) by two pieces from `piece`.
/// Matrices 0, 1 are the upper and the lower eight rows of the first piece, 2, 3 those of the second: A of mma where
/// rows are rows of the product and pieces its depth; with _trans, B for 16 columns (registers 0, 1 for the first eight
/// and 2, 3 for the others) where rows are the depth.
template <int kPieces>
__device__ __forceinline__ const __nv_bfloat16* rows_first(const __nv_bfloat16* matrix, int row, int piece) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  return matrix + (row + lane % 16) * kPieces * kPiece + ((piece + lane / 16) ^ lane % 8) * kPiece;
}

/// The same with matrices 0, 1 for the two pieces of the upper eight rows and 2, 3 for those of the lower: B for 16
/// columns where rows are columns of the product; with _trans, A where rows are the depth.
template <int kPieces>
__device__ __forceinline__ const __nv_bfloat16* pieces_first(const __nv_bfloat16* matrix, int row, int piece) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  return matrix + (row + lane / 16 * 8 + lane % 8) * kPieces * kPiece + ((piece + lane / 8 % 2) ^ lane % 8) * kPiece;
}

}  // namespace roap::cuda
