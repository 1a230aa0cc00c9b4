#pragma once

#include <cuda_runtime.h>

namespace roap::cuda {

inline constexpr int kCountedThreads = 64, kCountedTable = 64;

/// y[i] = x[i] + table[i % 64] for i < count, a multiple of 4; `vectors`: by accesses of 16 bytes.
void counted_add(int count, bool vectors, const float* x, const float* table, float* y, cudaStream_t stream);

}  // namespace roap::cuda
