#include "kernels/point_max/point_max_isa.h"

#include "kernels/common/simd.h"

// Computes: the maximum of every channel over the points, and where it is.
// Memory: x is read once; a vector of channels stays in registers over all points, the rest goes one by one.
// Numerics: points in order with a strict comparison: the lowest point wins a tie.

namespace roap::cpu::ROAP_ISA {

using roap::simd::kLanes;
using roap::simd::ROAP_ISA::IntVec;
using roap::simd::ROAP_ISA::load;
using roap::simd::ROAP_ISA::store;
using roap::simd::ROAP_ISA::Vec;

void point_max_set(std::int64_t points, std::int64_t channels, const float* x, float* y, std::int32_t* index) {
  const std::int64_t whole = channels / kLanes * kLanes;
  for (std::int64_t k = 0; k < whole; k += kLanes) {
    Vec best = load(x + k);
    IntVec winner{};
    for (std::int64_t p = 1; p < points; ++p) {
      const Vec candidate = load(x + p * channels + k);
      winner = candidate > best ? static_cast<std::int32_t>(p) - IntVec{} : winner;
      best = candidate > best ? candidate : best;
    }
    store(y + k, best);
    std::memcpy(index + k, &winner, sizeof winner);
  }
  for (std::int64_t k = whole; k < channels; ++k) {
    y[k] = x[k];
    index[k] = 0;
    for (std::int64_t p = 1; p < points; ++p) {
      if (!(x[p * channels + k] > y[k])) continue;
      y[k] = x[p * channels + k];
      index[k] = static_cast<std::int32_t>(p);
    }
  }
}

}  // namespace roap::cpu::ROAP_ISA
