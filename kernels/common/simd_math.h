#pragma once

#include "kernels/common/simd.h"

// Elementary functions of vectors, for *_isa.cpp files.

namespace roap::simd::ROAP_ISA {

/// Natural logarithm of positive normal numbers, error below 2 ulp (polynomial of the Cephes library). Near 1 the
/// argument's distance from 1 is exact, so the relative error stays small there too.
static inline Vec log_of_positive(Vec x) {
  const IntVec bits = reinterpret_cast<IntVec>(x);
  constexpr std::int32_t kSqrtHalf = 0x3f3504f3;
  const IntVec exponent = (bits - kSqrtHalf) >> 23;
  const Vec f = reinterpret_cast<Vec>(bits - (exponent << 23)) - 1.0f;  // in [sqrt(1/2) - 1, sqrt(2) - 1)
  const Vec e = __builtin_convertvector(exponent, Vec);
  constexpr float kCoefficients[] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                     -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
  Vec polynomial = splat(7.0376836292e-2f);
  for (const float c : kCoefficients) polynomial = polynomial * f + c;
  const Vec square = f * f;
  const Vec tail = polynomial * f * square + e * -2.12194440e-4f - 0.5f * square;
  return e * 0.693359375f + (f + tail);
}

/// exp(x) for x <= 0 (or NaN, which stays NaN), error below 2 ulp; 0 where the result would be subnormal.
static inline Vec exp_of_nonpositive(Vec x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Vec shifted = x * 1.44269504088896341f + kRound;
  const Vec n = shifted - kRound;
  const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
  constexpr float kCoefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                     5.0000001201e-1f};
  Vec polynomial = splat(1.9875691500e-4f);
  for (const float c : kCoefficients) polynomial = polynomial * r + c;
  const Vec value = polynomial * (r * r) + r + 1.0f;
  const IntVec exponent = reinterpret_cast<IntVec>(shifted) - reinterpret_cast<IntVec>(splat(kRound));
  const Vec power = reinterpret_cast<Vec>((exponent + 127) << 23);
  return x < -87.3f ? Vec{} : value * power;
}

}  // namespace roap::simd::ROAP_ISA
