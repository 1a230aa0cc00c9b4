#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/max_pool2d/max_pool2d.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;

/// MaxPool2dDims as kernels take them; an item is one pixel of y (forward) or of x (backward) and as many channels as
/// one access holds.
struct Sizes {
  int h, w, c, ho, wo;
  int kernel, stride, padding;
  int vectors;  ///< of a pixel
  int items;
};

/// What an item is.
struct Item {
  std::int64_t n;
  int row, column, channel;
};

__device__ __forceinline__ Item item_of(const Sizes& d, int height, int width, int vector_size) {
  int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  Item item{};
  item.channel = i % d.vectors * vector_size;
  i /= d.vectors;
  item.column = i % width;
  i /= width;
  item.row = i % height;
  item.n = i / height;
  return item;
}

/// kCount bytes, of which `count` lie inside; kVectors: as one access.
template <int kCount>
using Bytes = std::conditional_t<kCount == 8, uint2, unsigned>;
template <bool kVectors, int kCount>
__device__ __forceinline__ void load_bytes(const std::uint8_t* p, int count, std::uint8_t (&bytes)[kCount]) {
  if constexpr (kVectors) {
    const Bytes<kCount> word = __ldg(reinterpret_cast<const Bytes<kCount>*>(p));
    memcpy(bytes, &word, kCount);
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) bytes[i] = i < count ? p[i] : std::uint8_t{0};
  }
}
template <bool kVectors, int kCount>
__device__ __forceinline__ void store_bytes(std::uint8_t* p, int count, const std::uint8_t (&bytes)[kCount]) {
  if constexpr (kVectors) {
    Bytes<kCount> word;
    memcpy(&word, bytes, kCount);
    *reinterpret_cast<Bytes<kCount>*>(p) = word;
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (i < count) p[i] = bytes[i];
    }
  }
}

/// Computes  y = max over the window, winner = its tap
/// Shapes    x [n, h, w, c], y and winner [n, ho, wo, c]; kKernel is the kernel's size, or 0 for any
/// Mapping   a thread owns one 16-byte access of y
/// Memory    x once from memory (a pixel is in up to 9 / 4 windows of the usual shape: cache), y and winner once
/// Numerics  exact; taps ascending, the first of equal values wins, NaN beats a number
/// Limits    fewer than 2^31 accesses
template <class T, bool kVectors, int kKernel>
__global__ void __launch_bounds__(kThreads) max_pool2d_forward_kernel(Sizes d, const T* x, T* y, std::uint8_t* winner) {
  constexpr int kCount = kVectorSize<T>;
  const Item item = item_of(d, d.ho, d.wo, kCount);
  if (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x) >= d.items) return;
  const int kernel = kKernel > 0 ? kKernel : d.kernel, count = d.c - item.channel;
  const T* image = x + item.n * d.h * d.w * d.c + item.channel;
  float best[kCount];
  std::uint8_t taps[kCount] = {};
  bool first = true;
#pragma unroll(kKernel > 0 ? kKernel : 1)
  for (int ky = 0; ky < kernel; ++ky) {
    const int row = item.row * d.stride + ky - d.padding;
#pragma unroll(kKernel > 0 ? kKernel : 1)
    for (int kx = 0; kx < kernel; ++kx) {
      const int column = item.column * d.stride + kx - d.padding;
      if (row < 0 || row >= d.h || column < 0 || column >= d.w) continue;
      float values[kCount];
      to_floats(load_elements<kVectors>(image + (row * d.w + column) * d.c, count), values);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        if (!first && (values[i] <= best[i] || best[i] != best[i])) continue;
        best[i] = values[i];
        taps[i] = static_cast<std::uint8_t>(ky * kernel + kx);
      }
      first = false;
    }
  }
  const std::int64_t target = ((item.n * d.ho + item.row) * d.wo + item.column) * d.c + item.channel;
  store_elements<kVectors>(y + target, from_floats<T>(best), count);
  store_bytes<kVectors>(winner + target, count, taps);
}

/// Computes  dx (+)= sum of dy of the windows that this pixel won
/// Shapes    dy and winner [n, ho, wo, c], dx [n, h, w, c]
/// Mapping   a thread owns one 16-byte access of dx
/// Memory    dy and winner once from memory (each is looked at by 9 pixels of the usual shape: cache), dx once
/// Numerics  f32 sum over the windows in ascending order, rounded to T
/// Limits    fewer than 2^31 accesses
template <class T, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    max_pool2d_backward_kernel(Sizes d, const T* dy, const std::uint8_t* winner, T* dx, bool accumulate) {
  constexpr int kCount = kVectorSize<T>;
  const Item item = item_of(d, d.h, d.w, kCount);
  if (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x) >= d.items) return;
  const int count = d.c - item.channel;
  T* target = dx + ((item.n * d.h + item.row) * d.w + item.column) * d.c + item.channel;
  float sum[kCount] = {};
  if (accumulate) to_floats(load_elements<kVectors>(target, count), sum);
  // Windows oy with oy stride <= row + padding < oy stride + kernel.
  const int top = item.row + d.padding, left = item.column + d.padding;
  const int first_row = top < d.kernel ? 0 : (top - d.kernel) / d.stride + 1;
  const int first_column = left < d.kernel ? 0 : (left - d.kernel) / d.stride + 1;
  const int last_row = min(top / d.stride, d.ho - 1), last_column = min(left / d.stride, d.wo - 1);
  for (int oy = first_row; oy <= last_row; ++oy) {
    for (int ox = first_column; ox <= last_column; ++ox) {
      const int tap = (top - oy * d.stride) * d.kernel + left - ox * d.stride;
      const std::int64_t window = ((item.n * d.ho + oy) * d.wo + ox) * d.c + item.channel;
      std::uint8_t taps[kCount];
      float gradient[kCount];
      load_bytes<kVectors>(winner + window, count, taps);
      to_floats(load_elements<kVectors>(dy + window, count), gradient);
#pragma unroll
      for (int i = 0; i < kCount; ++i) sum[i] += taps[i] == tap ? gradient[i] : 0.0f;
    }
  }
  store_elements<kVectors>(target, from_floats<T>(sum), count);
}

template <class T>
Sizes sizes_of(const MaxPool2dDims& d, std::int64_t pixels) {
  const auto size = [](std::int64_t x) { return static_cast<int>(x); };
  const std::int64_t vectors = (d.c + kVectorSize<T> - 1) / kVectorSize<T>;
  return {size(d.h),
          size(d.w),
          size(d.c),
          size(d.ho()),
          size(d.wo()),
          size(d.params.kernel),
          size(d.params.stride),
          size(d.params.padding),
          size(vectors),
          size(d.n * pixels * vectors)};
}

}  // namespace

template <class T>
void max_pool2d_forward(const MaxPool2dDims& d, const T* x, T* y, std::uint8_t* winner, Stream stream) {
  const Sizes sizes = sizes_of<T>(d, d.ho() * d.wo());
  const auto run = [&](auto kernel) {
    launch("max_pool2d_forward", {.grid = blocks_for(sizes.items, kThreads), .block = kThreads}, stream, kernel, sizes,
           x, y, winner);
  };
  const bool vectors = can_use_vectors(d.c, x, y);
  if (d.params.kernel == 3) {
    run(vectors ? max_pool2d_forward_kernel<T, true, 3> : max_pool2d_forward_kernel<T, false, 3>);
  } else {
    run(vectors ? max_pool2d_forward_kernel<T, true, 0> : max_pool2d_forward_kernel<T, false, 0>);
  }
}

template <class T>
void max_pool2d_backward(const MaxPool2dDims& d, const T* dy, const std::uint8_t* winner, T* dx, bool accumulate,
                         Stream stream) {
  const Sizes sizes = sizes_of<T>(d, d.h * d.w);
  launch("max_pool2d_backward", {.grid = blocks_for(sizes.items, kThreads), .block = kThreads}, stream,
         can_use_vectors(d.c, dy, dx) ? max_pool2d_backward_kernel<T, true> : max_pool2d_backward_kernel<T, false>,
         sizes, dy, winner, dx, accumulate);
}

template void max_pool2d_forward<float>(const MaxPool2dDims&, const float*, float*, std::uint8_t*, Stream);
template void max_pool2d_forward<Bf16>(const MaxPool2dDims&, const Bf16*, Bf16*, std::uint8_t*, Stream);
template void max_pool2d_backward<float>(const MaxPool2dDims&, const float*, const std::uint8_t*, float*, bool, Stream);
template void max_pool2d_backward<Bf16>(const MaxPool2dDims&, const Bf16*, const std::uint8_t*, Bf16*, bool, Stream);

}  // namespace roap::cuda
