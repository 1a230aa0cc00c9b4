#include "engine/cuda/add_in_place_cuda.h"

#include "kernels/common/convert.cuh"
#include "kernels/common/launch.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Computes  y (+)= x
/// Shapes    x, y [count]
/// Mapping   a thread owns an element
/// Memory    both once
/// Numerics  one f32 addition, rounded to T
template <class T>
__global__ void __launch_bounds__(kThreads) add_in_place_kernel(std::int64_t count, const T* x, T* y, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) y[i] = accumulate ? from_float<T>(to_float(y[i]) + to_float(x[i])) : x[i];
}

}  // namespace

template <class T>
void add_in_place(std::int64_t count, const T* x, T* y, bool accumulate, Stream stream) {
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  launch("add_in_place", {.grid = blocks, .block = kThreads}, stream, add_in_place_kernel<T>, count, x, y, accumulate);
}

template void add_in_place<float>(std::int64_t, const float*, float*, bool, Stream);
template void add_in_place<Bf16>(std::int64_t, const Bf16*, Bf16*, bool, Stream);

}  // namespace roap::cuda
