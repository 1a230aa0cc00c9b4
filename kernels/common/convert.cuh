#pragma once

#include <cuda_bf16.h>

#include "kernels/common/device_code.h"

// Between float, in which kernels compute, and their storage type T, float or __nv_bfloat16. Rounding to nearest even.

namespace roap::cuda {

__host__ __device__ __forceinline__ float to_float(float x) { return x; }
__host__ __device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__host__ __device__ __forceinline__ T from_float(float x);
template <>
__host__ __device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__host__ __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/// Two bf16 numbers in one register as fragments of matrix products hold them, `low` in the lower half.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(pair.y)) << 16 | __bfloat16_as_ushort(pair.x);
}
/// The same of max(x, 0); a NaN stays one.
__device__ __forceinline__ std::uint32_t pack_bf16_relu(float low, float high) {
#ifdef ROAP_SIMT
  return pack_bf16(low < 0 ? 0.0f : low, high < 0 ? 0.0f : high);
#else
  std::uint32_t pair;
  asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#endif
}
__device__ __forceinline__ float2 unpack_bf16(std::uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

}  // namespace roap::cuda
