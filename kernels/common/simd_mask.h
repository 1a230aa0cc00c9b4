#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "kernels/common/simd.h"

// Comparisons as bit masks, for *_isa.cpp files.

namespace roap::simd::ROAP_ISA {

/// Bit i is set where lane i of a comparison's result is true.
static inline std::uint32_t true_lanes(IntVec comparison) {
#if defined(__AVX512DQ__)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(comparison));
#elif defined(__AVX2__)
  return static_cast<std::uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(comparison)));
#elif defined(__SSE2__)
  return static_cast<std::uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(comparison)));
#else
  std::uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= (comparison[i] != 0 ? 1u : 0u) << i;
  return bits;
#endif
}

}  // namespace roap::simd::ROAP_ISA
