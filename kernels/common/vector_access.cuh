#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/common/convert.cuh"

// 16-byte accesses. The question whether memory is aligned for them is answered once, on the host, by can_use_vectors:
// a launcher then picks the kernel with load_vector or the one with load_scalars, which works for any address.

namespace roap::cuda {

/// Elements of one 16-byte access: 4 of float, 8 of __nv_bfloat16.
template <class T>
inline constexpr int kVectorSize = static_cast<int>(16 / sizeof(T));

/// kVectorSize<T> elements of storage, as one access moves them.
template <class T>
struct alignas(16) Vector {
  T values[kVectorSize<T>];
};

/// Whether rows of `row_size` elements, back to back from each of the pointers, consist of whole aligned vectors.
template <class T, class... More>
[[nodiscard]] bool can_use_vectors(std::int64_t row_size, const T* first, const More*... more) {
  const auto aligned = [row_size](const void* data, std::size_t size) {
    return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && row_size * static_cast<std::int64_t>(size) % 16 == 0;
  };
  return aligned(first, sizeof(T)) && (aligned(more, sizeof(More)) && ...);
}

/// One 16-byte load from an aligned address, global or shared.
template <class T>
__device__ __forceinline__ Vector<T> load_vector(const T* p) {
  const uint4 bits = *reinterpret_cast<const uint4*>(p);
  Vector<T> v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
/// The same through the read-only path: for global memory that nothing writes while the kernel runs.
template <class T>
__device__ __forceinline__ Vector<T> load_vector_readonly(const T* p) {
  const uint4 bits = __ldg(reinterpret_cast<const uint4*>(p));
  Vector<T> v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
template <class T>
__device__ __forceinline__ void store_vector(T* p, const Vector<T>& v) {
  uint4 bits;
  memcpy(&bits, &v, sizeof v);
  *reinterpret_cast<uint4*>(p) = bits;
}

/// The first `count` elements at p, one by one; the rest of the vector is zero. Any alignment.
template <class T>
__device__ __forceinline__ Vector<T> load_scalars(const T* p, int count) {
  Vector<T> v;
#pragma unroll
  for (int i = 0; i < kVectorSize<T>; ++i) v.values[i] = i < count ? p[i] : from_float<T>(0.0f);
  return v;
}
template <class T>
__device__ __forceinline__ void store_scalars(T* p, const Vector<T>& v, int count) {
#pragma unroll
  for (int i = 0; i < kVectorSize<T>; ++i) {
    if (i < count) p[i] = v.values[i];
  }
}

/// One access where kVectors (as can_use_vectors decided), else the first `count` elements.
template <bool kVectors, class T>
__device__ __forceinline__ Vector<T> load_elements(const T* p, int count) {
  if constexpr (kVectors) return load_vector(p);
  return load_scalars(p, count);
}
template <bool kVectors, class T>
__device__ __forceinline__ void store_elements(T* p, const Vector<T>& v, int count) {
  if constexpr (kVectors) {
    store_vector(p, v);
  } else {
    store_scalars(p, v, count);
  }
}

template <class T>
__device__ __forceinline__ void to_floats(const Vector<T>& v, float (&x)[kVectorSize<T>]) {
#pragma unroll
  for (int i = 0; i < kVectorSize<T>; ++i) x[i] = to_float(v.values[i]);
}
template <class T>
__device__ __forceinline__ Vector<T> from_floats(const float (&x)[kVectorSize<T>]) {
  Vector<T> v;
#pragma unroll
  for (int i = 0; i < kVectorSize<T>; ++i) v.values[i] = from_float<T>(x[i]);
  return v;
}

}  // namespace roap::cuda
