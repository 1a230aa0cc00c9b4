#pragma once

// Vectors for files that are compiled once per instruction set (*_isa.cpp): GCC and Clang vector extensions, so that
// the same source is plain code, AVX2 or AVX-512. Include nothing of the standard library's inline functions beside
// this header.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace roap::simd {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

}  // namespace roap::simd

#ifdef ROAP_ISA
namespace roap::simd::ROAP_ISA {

/// kLanes floats; arithmetic is lane by lane.
using Vec = float __attribute__((vector_size(sizeof(float) * kLanes)));
using IntVec = std::int32_t __attribute__((vector_size(sizeof(float) * kLanes)));

static inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
/// x in every lane. Subtracting zero, unlike adding it, changes no value: the compiler sees a plain broadcast.
static inline Vec splat(float x) { return x - Vec{}; }
static inline Vec max(Vec a, Vec b) { return a > b ? a : b; }

/// Sum of the lanes by halving: a fixed order.
static inline float sum(Vec v) {
  float lanes[kLanes];
  std::memcpy(lanes, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

}  // namespace roap::simd::ROAP_ISA
#endif
