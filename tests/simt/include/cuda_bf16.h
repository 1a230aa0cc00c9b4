#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/simt/include/simt/vector_types.h"

// Stands in for CUDA's header of this name on the emulator. Conversions round to nearest even; arithmetic is that of
// float with one rounding of the result, as on the GPU (the fma forms with one rounding in all).

namespace roap::simt {

constexpr std::uint16_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return 0x7fff;  // the NaN that CUDA's conversion makes
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
constexpr float bf16_value(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

}  // namespace roap::simt

struct __nv_bfloat16 {
  std::uint16_t __x;

  __nv_bfloat16() = default;
  constexpr __nv_bfloat16(float x) : __x(roap::simt::bf16_bits(x)) {}
  constexpr __nv_bfloat16(double x) : __nv_bfloat16(static_cast<float>(x)) {}
  constexpr __nv_bfloat16(int x) : __nv_bfloat16(static_cast<float>(x)) {}
  constexpr operator float() const { return roap::simt::bf16_value(__x); }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

constexpr __nv_bfloat16 __float2bfloat16(float x) { return {x}; }
constexpr __nv_bfloat16 __float2bfloat16_rn(float x) { return {x}; }
constexpr float __bfloat162float(__nv_bfloat16 x) { return x; }
constexpr __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return std::bit_cast<__nv_bfloat16>(bits); }
constexpr unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.__x; }

constexpr __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 low, __nv_bfloat16 high) { return {low, high}; }
constexpr __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
constexpr __nv_bfloat162 __floats2bfloat162_rn(float low, float high) { return {low, high}; }
constexpr __nv_bfloat162 __float2bfloat162_rn(float x) { return {x, x}; }
constexpr __nv_bfloat162 __float22bfloat162_rn(float2 x) { return {x.x, x.y}; }
constexpr float2 __bfloat1622float2(__nv_bfloat162 x) { return {x.x, x.y}; }
constexpr __nv_bfloat16 __low2bfloat16(__nv_bfloat162 x) { return x.x; }
constexpr __nv_bfloat16 __high2bfloat16(__nv_bfloat162 x) { return x.y; }
constexpr float __low2float(__nv_bfloat162 x) { return x.x; }
constexpr float __high2float(__nv_bfloat162 x) { return x.y; }

constexpr __nv_bfloat16 operator+(__nv_bfloat16 a, __nv_bfloat16 b) { return {float{a} + float{b}}; }
constexpr __nv_bfloat16 operator-(__nv_bfloat16 a, __nv_bfloat16 b) { return {float{a} - float{b}}; }
constexpr __nv_bfloat16 operator*(__nv_bfloat16 a, __nv_bfloat16 b) { return {float{a} * float{b}}; }
constexpr __nv_bfloat16 operator/(__nv_bfloat16 a, __nv_bfloat16 b) { return {float{a} / float{b}}; }
constexpr __nv_bfloat16 operator-(__nv_bfloat16 a) { return {-float{a}}; }
constexpr __nv_bfloat16& operator+=(__nv_bfloat16& a, __nv_bfloat16 b) { return a = a + b; }
constexpr __nv_bfloat16& operator-=(__nv_bfloat16& a, __nv_bfloat16 b) { return a = a - b; }
constexpr __nv_bfloat16& operator*=(__nv_bfloat16& a, __nv_bfloat16 b) { return a = a * b; }
constexpr bool operator==(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} == float{b}; }
constexpr bool operator!=(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} != float{b}; }
constexpr bool operator<(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} < float{b}; }
constexpr bool operator>(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} > float{b}; }
constexpr bool operator<=(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} <= float{b}; }
constexpr bool operator>=(__nv_bfloat16 a, __nv_bfloat16 b) { return float{a} >= float{b}; }

constexpr __nv_bfloat16 __hadd(__nv_bfloat16 a, __nv_bfloat16 b) { return a + b; }
constexpr __nv_bfloat16 __hsub(__nv_bfloat16 a, __nv_bfloat16 b) { return a - b; }
constexpr __nv_bfloat16 __hmul(__nv_bfloat16 a, __nv_bfloat16 b) { return a * b; }
constexpr __nv_bfloat16 __hneg(__nv_bfloat16 a) { return -a; }
/// The product of two bf16 numbers is exact in double, and so is the sum unless their exponents are far apart.
constexpr __nv_bfloat16 __hfma(__nv_bfloat16 a, __nv_bfloat16 b, __nv_bfloat16 c) {
  return {static_cast<float>(double{float{a}} * double{float{b}} + double{float{c}})};
}
inline __nv_bfloat16 __hmax(__nv_bfloat16 a, __nv_bfloat16 b) { return {std::fmax(float{a}, float{b})}; }
inline __nv_bfloat16 __hmin(__nv_bfloat16 a, __nv_bfloat16 b) { return {std::fmin(float{a}, float{b})}; }
inline __nv_bfloat16 __habs(__nv_bfloat16 a) { return {std::fabs(float{a})}; }
constexpr bool __hisnan(__nv_bfloat16 a) { return float{a} != float{a}; }

constexpr __nv_bfloat162 __hadd2(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x + b.x, a.y + b.y}; }
constexpr __nv_bfloat162 __hsub2(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x - b.x, a.y - b.y}; }
constexpr __nv_bfloat162 __hmul2(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x * b.x, a.y * b.y}; }
constexpr __nv_bfloat162 __hfma2(__nv_bfloat162 a, __nv_bfloat162 b, __nv_bfloat162 c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
inline __nv_bfloat162 __hmax2(__nv_bfloat162 a, __nv_bfloat162 b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }
inline __nv_bfloat162 __hmin2(__nv_bfloat162 a, __nv_bfloat162 b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }
