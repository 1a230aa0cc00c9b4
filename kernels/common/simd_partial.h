#pragma once

#include "kernels/common/simd.h"

// Loads and stores of the first lanes of a vector, for the ends of rows. For *_isa.cpp files.

namespace roap::simd::ROAP_ISA {

/// The first `count` values at p; the other lanes are zero. A count above kLanes means all lanes.
static inline Vec load_first(const float* p, std::int64_t count) {
  if (count >= kLanes) return load(p);
  Vec v{};
  if (count > 0) std::memcpy(&v, p, static_cast<std::size_t>(count) * sizeof(float));
  return v;
}

/// Stores the first `count` lanes (all of them when count is above kLanes).
static inline void store_first(float* p, std::int64_t count, Vec v) {
  if (count >= kLanes) return store(p, v);
  if (count > 0) std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace roap::simd::ROAP_ISA
