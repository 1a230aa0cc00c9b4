#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"
#include "kernels/image_batch/image_batch.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kMaxChannels = static_cast<int>(ImageBatchParams::kMaxChannels);

/// ImageBatchParams as a kernel takes them.
struct Normalization {
  float scale[kMaxChannels], shift[kMaxChannels];
  bool augments, flip;
  int max_shift;
};

struct Sizes {
  int n, h, w, c;
  int vectors;  ///< of an image
  __device__ int pixels() const { return h * w * c; }
};

/// The kVectorSize pixels from `first` on, as they lie in the data set; kVectors: with one access.
template <int kCount, bool kVectors>
__device__ __forceinline__ void load_pixels(const std::uint8_t* image, int first, int count,
                                            std::uint8_t (&pixels)[kCount]) {
  if constexpr (kVectors) {
    using Word = std::conditional_t<kCount == 8, uint2, unsigned>;
    static_assert(sizeof(Word) == kCount);
    const Word word = __ldg(reinterpret_cast<const Word*>(image + first));
    memcpy(pixels, &word, kCount);
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) pixels[i] = i < count ? image[first + i] : std::uint8_t{0};
  }
}

template <int kCount, bool kVectors>
__device__ __forceinline__ void normalize_plain(const Sizes& d, const Normalization& norm, const std::uint8_t* image,
                                                int first, int count, float (&y)[kCount]) {
  std::uint8_t pixels[kCount];
  load_pixels<kCount, kVectors>(image, first, count, pixels);
  int channel = first % d.c;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    y[i] = static_cast<float>(pixels[i]) * norm.scale[channel] + norm.shift[channel];
    if (++channel == d.c) channel = 0;
  }
}

template <int kCount>
__device__ __forceinline__ void normalize_augmented(const Sizes& d, const Normalization& norm,
                                                    const std::uint8_t* image, const ImageAugmentation& how, int first,
                                                    int count, float (&y)[kCount]) {
  const int shift_rows = static_cast<int>(how.shift_rows), shift_columns = static_cast<int>(how.shift_columns);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int pixel = (first + i) / d.c, channel = (first + i) % d.c;
    const int row = pixel / d.w + shift_rows, shifted = pixel % d.w + shift_columns;
    const int column = how.flip ? d.w - 1 - shifted : shifted;
    const bool inside = i < count && row >= 0 && row < d.h && column >= 0 && column < d.w;
    y[i] = inside ? static_cast<float>(image[(row * d.w + column) * d.c + channel]) * norm.scale[channel] +
                        norm.shift[channel]
                  : 0.0f;
  }
}

/// Computes  y[b, r, q, c] = pixel scale[c] + shift[c] of image index[b], flipped and shifted where it is augmented
/// Shapes    images u8 [N, h, w, c], index [n], key [4] or null, y [n, h, w, c]
/// Mapping   a thread owns 16 bytes of y
/// Memory    images once, y once; without augmentation a thread's pixels are one access of 8 (bf16) or 4 bytes
/// Numerics  one f32 multiply-add, rounded to T
/// Limits    images of fewer than 2^31 pixels, y of fewer than 2^31 vectors
template <class T, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    image_batch_kernel(Sizes d, const __grid_constant__ Normalization norm, const std::uint8_t* images,
                       const std::int32_t* index, const std::uint32_t* key, T* y) {
  constexpr int kCount = kVectorSize<T>;
  const int item = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (item >= d.n * d.vectors) return;
  const int b = item / d.vectors, first = item % d.vectors * kCount;
  const int count = min(kCount, d.pixels() - first);
  const std::uint8_t* image = images + static_cast<std::int64_t>(index[b]) * d.pixels();
  float values[kCount];
  if (norm.augments) {
    const ImageAugmentation how = image_augmentation({key[0], key[1], key[2], key[3]}, b, norm.flip, norm.max_shift);
    normalize_augmented(d, norm, image, how, first, count, values);
  } else {
    normalize_plain<kCount, kVectors>(d, norm, image, first, count, values);
  }
  store_elements<kVectors>(y + static_cast<std::int64_t>(b) * d.pixels() + first, from_floats<T>(values), count);
}

}  // namespace

template <class T>
void image_batch(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* images,
                 const std::int32_t* index, const std::uint32_t* key, T* y, Stream stream) {
  const auto size = [](std::int64_t x) { return static_cast<int>(x); };
  const std::int64_t pixels = d.h * d.w * d.c, vectors = (pixels + kVectorSize<T> - 1) / kVectorSize<T>;
  Normalization norm{{}, {}, params.augments(), params.flip, size(params.max_shift)};
  for (int c = 0; c < kMaxChannels; ++c) {
    norm.scale[c] = params.scale[static_cast<std::size_t>(c)];
    norm.shift[c] = params.shift[static_cast<std::size_t>(c)];
  }
  const bool aligned = can_use_vectors(pixels, y) && reinterpret_cast<std::uintptr_t>(images) % kVectorSize<T> == 0;
  launch("image_batch", {.grid = blocks_for(d.n * vectors, kThreads), .block = kThreads}, stream,
         aligned ? image_batch_kernel<T, true> : image_batch_kernel<T, false>,
         Sizes{size(d.n), size(d.h), size(d.w), size(d.c), size(vectors)}, norm, images, index, key, y);
}

template void image_batch<float>(const ImageBatchDims&, const ImageBatchParams&, const std::uint8_t*,
                                 const std::int32_t*, const std::uint32_t*, float*, Stream);
template void image_batch<Bf16>(const ImageBatchDims&, const ImageBatchParams&, const std::uint8_t*,
                                const std::int32_t*, const std::uint32_t*, Bf16*, Stream);

}  // namespace roap::cuda
