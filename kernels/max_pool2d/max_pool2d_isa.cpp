#include "kernels/common/simd_partial.h"
#include "kernels/max_pool2d/max_pool2d_pixel.h"

// Computes: the loops of max_pool2d over channels; the backward one vectorises as it stands.
// Numerics: a comparison that a NaN wins against a number, and no one against a NaN.

namespace roap::cpu::ROAP_ISA {

using simd::kLanes;
using simd::ROAP_ISA::IntVec;
using simd::ROAP_ISA::Vec;

void max_pool2d_window(const MaxPoolWindow& t) {
  using Bytes = std::uint8_t __attribute__((vector_size(kLanes)));
  for (std::int64_t j = 0; j < t.channels; j += kLanes) {
    const std::int64_t width = t.channels - j < kLanes ? t.channels - j : kLanes;
    Vec best = simd::ROAP_ISA::load_first(t.x[0] + j, width);
    IntVec winner = IntVec{} + t.tap[0];
    for (int k = 1; k < t.count; ++k) {
      const Vec x = simd::ROAP_ISA::load_first(t.x[k] + j, width);
      const IntVec wins = ~(x <= best) & (best == best);
      winner = wins ? IntVec{} + t.tap[k] : winner;
      best = wins ? x : best;
    }
    simd::ROAP_ISA::store_first(t.y + j, width, best);
    const Bytes bytes = __builtin_convertvector(winner, Bytes);
    std::memcpy(t.winner + j, &bytes, static_cast<std::size_t>(width));
  }
}

void max_pool2d_tap_backward(const MaxPoolTapBackward& t) {
  const float* __restrict dy = t.dy;
  const std::uint8_t* __restrict winner = t.winner;
  float* __restrict dx = t.dx;
  const std::uint8_t tap = t.tap;
  for (std::int64_t j = 0; j < t.channels; ++j) dx[j] += winner[j] == tap ? dy[j] : 0;
}

}  // namespace roap::cpu::ROAP_ISA
