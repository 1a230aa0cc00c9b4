#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Bit operations, reinterpretation of bits and conversions between numbers.

constexpr int __popc(unsigned x) { return std::popcount(x); }
constexpr int __popcll(unsigned long long x) { return std::popcount(x); }
constexpr int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
constexpr int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
constexpr int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
constexpr int __ffsll(long long x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(x)) + 1; }

constexpr unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
constexpr unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
/// Byte i of the result is byte (selector >> 4 i) & 7 of y:x, or its sign in all bits where bit 3 is set.
constexpr unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const unsigned long long bytes = static_cast<unsigned long long>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned choice = selector >> (4 * i);
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7u))) & 0xffu;
    if ((choice & 8u) != 0) byte = (byte & 0x80u) != 0 ? 0xffu : 0u;
    result |= byte << (8 * i);
  }
  return result;
}
constexpr unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) << (shift & 31u) >> 32);
}
constexpr unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (shift & 31u));
}
constexpr unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(static_cast<unsigned long long>(x) * y >> 32);
}
constexpr int __mulhi(int x, int y) { return static_cast<int>(static_cast<long long>(x) * y >> 32); }
constexpr unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  const std::uint64_t x0 = x & 0xffffffffu, x1 = x >> 32, y0 = y & 0xffffffffu, y1 = y >> 32;
  const std::uint64_t middle = x1 * y0 + (x0 * y0 >> 32);
  return x1 * y1 + (middle >> 32) + ((x0 * y1 + (middle & 0xffffffffu)) >> 32);
}

constexpr unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
constexpr int __float_as_int(float x) { return std::bit_cast<int>(x); }
constexpr float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
constexpr float __int_as_float(int x) { return std::bit_cast<float>(x); }
constexpr long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
constexpr double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

namespace roap::simt {

/// The nearest integer that T has; 0 for NaN, as the GPU's conversions do.
template <class T>
T saturating_integer(double x) {
  constexpr double kLow = static_cast<double>(std::is_signed_v<T> ? INT32_MIN : 0);
  constexpr double kHigh = static_cast<double>(std::is_signed_v<T> ? INT32_MAX : UINT32_MAX);
  if (std::isnan(x)) return 0;
  return static_cast<T>(x < kLow ? kLow : x > kHigh ? kHigh : x);
}

}  // namespace roap::simt

inline int __float2int_rn(float x) { return roap::simt::saturating_integer<int>(std::nearbyint(x)); }
inline int __float2int_rz(float x) { return roap::simt::saturating_integer<int>(std::trunc(x)); }
inline int __float2int_rd(float x) { return roap::simt::saturating_integer<int>(std::floor(x)); }
inline int __float2int_ru(float x) { return roap::simt::saturating_integer<int>(std::ceil(x)); }
inline unsigned __float2uint_rn(float x) { return roap::simt::saturating_integer<unsigned>(std::nearbyint(x)); }
inline unsigned __float2uint_rz(float x) { return roap::simt::saturating_integer<unsigned>(std::trunc(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
