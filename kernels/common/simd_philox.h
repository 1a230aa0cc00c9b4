#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "kernels/common/philox.h"
#include "kernels/common/simd_transpose.h"

// philox.h's random numbers, several draws at a time, for *_isa.cpp files.

namespace roap::simd::ROAP_ISA {

/// kLanes / 2 words of 64 bits.
using WideVec = std::uint64_t __attribute__((vector_size(sizeof(float) * kLanes)));
inline constexpr int kWideLanes = kLanes / 2;

/// Products of the lower halves of all words.
static inline WideVec multiply_low_halves(WideVec a, WideVec b) {
#if defined(__AVX512F__)
  return reinterpret_cast<WideVec>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<WideVec>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<WideVec>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/// open_uniform() of 32-bit words.
static inline Vec open_uniform(WideVec words) {
  using UnsignedVec = std::uint32_t __attribute__((vector_size(sizeof(float) * kLanes)));
  const IntVec bits = reinterpret_cast<IntVec>(reinterpret_cast<UnsignedVec>(words) >> 9);
  return (__builtin_convertvector(bits, Vec) + 0.5f) * (1.0f / 8388608.0f);
}

/// Numbers that uniform_draws() makes at a time, and draws of four words that they take.
inline constexpr int kUniformVectors = 4;
inline constexpr int kUniformDraws = kUniformVectors * kLanes / 4;

/// Draws index .. index + kUniformDraws - 1 of the key's sequence as uniform numbers. Every 32-bit word of the
/// generator lies in the lower half of a lane; what is in the upper halves is ignored. Two halves at a time, so that
/// one can wait for its products while the other goes on.
static inline void uniform_draws(const RandomKey& key, std::uint64_t index, Vec* u) {
  constexpr int kHalves = 2;
  const auto word = [](std::uint64_t x) { return x - WideVec{}; };
  WideVec c0[kHalves], c1[kHalves], c2[kHalves], c3[kHalves];
  for (int h = 0; h < kHalves; ++h) {
    for (int i = 0; i < kWideLanes; ++i) c0[h][i] = index + static_cast<std::uint64_t>(h * kWideLanes + i);
    c1[h] = c0[h] >> 32;
    c2[h] = word(key.step);
    c3[h] = word(key.stream);
  }
  std::uint32_t k0 = key.seed_low, k1 = key.seed_high;
  for (int round = 0; round < 10; ++round) {
    for (int h = 0; h < kHalves; ++h) {
      const WideVec p0 = multiply_low_halves(c0[h], word(0xD2511F53u));
      const WideVec p1 = multiply_low_halves(c2[h], word(0xCD9E8D57u));
      c0[h] = (p1 >> 32) ^ c1[h] ^ word(k0);
      c2[h] = (p0 >> 32) ^ c3[h] ^ word(k1);
      c1[h] = p1;
      c3[h] = p0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int h = 0; h < kHalves; ++h) {
    const WideVec low = word(0xffffffffu);
    const WideVec words01 = (c0[h] & low) | (c1[h] << 32), words23 = (c2[h] & low) | (c3[h] << 32);
    constexpr std::make_integer_sequence<int, kWideLanes> kSequence;
    u[2 * h] = open_uniform(interleave<0>(words01, words23, kSequence));
    u[2 * h + 1] = open_uniform(interleave<kWideLanes / 2>(words01, words23, kSequence));
  }
}

}  // namespace roap::simd::ROAP_ISA
