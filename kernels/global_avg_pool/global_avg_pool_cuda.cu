#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/global_avg_pool/global_avg_pool.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// Computes  y[n, c] = mean over p of x[n, p, c]
/// Shapes    x [n, pixels, c], y [n, c]
/// Mapping   a thread owns the channels of one 16-byte access of x
/// Memory    x once, y once
/// Numerics  f32, p ascending
/// Limits    n c below 2^31
template <class T, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    global_avg_pool_forward_kernel(GlobalAvgPoolDims d, int vectors, const T* x, float* y) {
  constexpr int kCount = kVectorSize<T>;
  const int item = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const std::int64_t n = item / vectors;
  const int channel = item % vectors * kCount, count = static_cast<int>(d.c) - channel;
  if (n >= d.n) return;
  const T* pixel = x + n * d.pixels * d.c + channel;
  float sum[kCount] = {};
#pragma unroll 4
  for (int p = 0; p < d.pixels; ++p) {
    float values[kCount];
    to_floats(load_elements<kVectors>(pixel + p * d.c, count), values);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum[i] += values[i];
  }
  const float share = 1.0f / static_cast<float>(d.pixels);
  float* target = y + n * d.c + channel;
#pragma unroll
  for (int i = 0; i < kCount; i += 4) {
    const Vector<float> mean{{sum[i] * share, sum[i + 1] * share, sum[i + 2] * share, sum[i + 3] * share}};
    store_elements<kVectors>(target + i, mean, count - i);
  }
}

/// Computes  dx[n, p, c] (+)= dy[n, c] / pixels
/// Shapes    dy [n, c], dx [n, pixels, c]
/// Mapping   a thread owns one 16-byte access of dx
/// Memory    dy once per pixel (cache), dx once
/// Numerics  f32, rounded to T
/// Limits    dx of fewer than 2^31 accesses
template <class T, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    global_avg_pool_backward_kernel(GlobalAvgPoolDims d, int vectors, const float* dy, T* dx, bool accumulate) {
  constexpr int kCount = kVectorSize<T>;
  const int item = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int row = item / vectors, channel = item % vectors * kCount, count = static_cast<int>(d.c) - channel;
  if (row >= d.n * d.pixels) return;
  const float* gradient = dy + row / static_cast<int>(d.pixels) * d.c + channel;
  T* target = dx + row * d.c + channel;
  const float share = 1.0f / static_cast<float>(d.pixels);
  float values[kCount] = {};
  if (accumulate) to_floats(load_elements<kVectors>(target, count), values);
#pragma unroll
  for (int i = 0; i < kCount; i += 4) {
    const Vector<float> g = load_elements<kVectors>(gradient + i, count - i);
#pragma unroll
    for (int j = 0; j < 4; ++j) values[i + j] += g.values[j] * share;
  }
  store_elements<kVectors>(target, from_floats<T>(values), count);
}

template <class T>
int vectors_per_row(const GlobalAvgPoolDims& d) {
  return static_cast<int>((d.c + kVectorSize<T> - 1) / kVectorSize<T>);
}

}  // namespace

template <class T>
void global_avg_pool_forward(const GlobalAvgPoolDims& d, const T* x, float* y, Stream stream) {
  const int vectors = vectors_per_row<T>(d);
  launch(
      "global_avg_pool_forward", {.grid = blocks_for(d.n * vectors, kThreads), .block = kThreads}, stream,
      can_use_vectors(d.c, x, y) ? global_avg_pool_forward_kernel<T, true> : global_avg_pool_forward_kernel<T, false>,
      d, vectors, x, y);
}

template <class T>
void global_avg_pool_backward(const GlobalAvgPoolDims& d, const float* dy, T* dx, bool accumulate, Stream stream) {
  const int vectors = vectors_per_row<T>(d);
  launch("global_avg_pool_backward", {.grid = blocks_for(d.n * d.pixels * vectors, kThreads), .block = kThreads},
         stream,
         can_use_vectors(d.c, dx, dy) ? global_avg_pool_backward_kernel<T, true>
                                      : global_avg_pool_backward_kernel<T, false>,
         d, vectors, dy, dx, accumulate);
}

template void global_avg_pool_forward<float>(const GlobalAvgPoolDims&, const float*, float*, Stream);
template void global_avg_pool_forward<Bf16>(const GlobalAvgPoolDims&, const Bf16*, float*, Stream);
template void global_avg_pool_backward<float>(const GlobalAvgPoolDims&, const float*, float*, bool, Stream);
template void global_avg_pool_backward<Bf16>(const GlobalAvgPoolDims&, const float*, Bf16*, bool, Stream);

}  // namespace roap::cuda
