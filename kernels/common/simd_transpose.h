#pragma once

#include <utility>  // integer_sequence, a type only

#include "kernels/common/simd.h"

// Vectors in another order, for *_isa.cpp files.

namespace roap::simd::ROAP_ISA {

/// a and b lane by lane in turn, from lane `first` on; both have as many lanes as the sequence.
template <int first, class V, int... i>
static inline V interleave(V a, V b, std::integer_sequence<int, i...> /*lanes*/) {
  return __builtin_shufflevector(a, b, (first + i / 2 + i % 2 * static_cast<int>(sizeof...(i)))...);
}

/// Transposes kLanes vectors in place by rounds of interleaving the first half with the second.
static inline void transpose(Vec* v) {
  constexpr std::make_integer_sequence<int, kLanes> kSequence;
  for (int round = 1; round < kLanes; round *= 2) {
    Vec next[kLanes];
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = interleave<0>(v[i], v[i + kLanes / 2], kSequence);
      next[2 * i + 1] = interleave<kLanes / 2>(v[i], v[i + kLanes / 2], kSequence);
    }
    for (int i = 0; i < kLanes; ++i) v[i] = next[i];
  }
}

}  // namespace roap::simd::ROAP_ISA
