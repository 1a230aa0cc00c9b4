#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

// Kernels that show how to use the wrappers of kernels/common, and prove that they work.

namespace roap::cuda {

/// Tiles that cover `size` elements.
inline unsigned tiles(int size, int tile) { return static_cast<unsigned>((size + tile - 1) / tile); }

/// x [rows, columns] -> y [columns, rows].
template <class T>
void demo_transpose(int rows, int columns, const T* x, T* y, cudaStream_t stream);

/// a [m, k], b [n, k] -> c [m, n] = a b', sums in f32. k is a multiple of 8. Tensor cores of sm_80 and later.
void demo_gemm_mma(int m, int n, int k, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, cudaStream_t stream);

/// The same with the copy engine and the warpgroup products of sm_90a, in clusters of two blocks that share b.
void demo_gemm_wgmma(int m, int n, int k, const __nv_bfloat16* a, const __nv_bfloat16* b, float* c,
                     cudaStream_t stream);

}  // namespace roap::cuda
