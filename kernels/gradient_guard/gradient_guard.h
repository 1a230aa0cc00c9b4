#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"

// Looks at a step before its update is applied: guard[0] = 1 when the loss and every gradient are finite, else 0;
// guard[1] = L2 norm of all gradients (what gradient clipping needs). Squares are summed in double, where a finite
// float's square cannot overflow: the sum is finite exactly when all gradients are.

namespace roap {
namespace cpu {

std::size_t gradient_guard_workspace(std::int64_t count);

/// loss [1], gradients [count] -> guard [2].
void gradient_guard(std::int64_t count, const float* loss, const float* gradients, float* guard, double* workspace);

}  // namespace cpu

namespace cuda {

std::size_t gradient_guard_workspace(std::int64_t count);

/// As in cpu, on the device; with one counter (kernels/common/last_block.cuh).
void gradient_guard(std::int64_t count, const float* loss, const float* gradients, float* guard, double* workspace,
                    unsigned* counter, Stream stream);

}  // namespace cuda
}  // namespace roap
