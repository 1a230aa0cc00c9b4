#include "kernels/common/multiply_add_peak.h"

#include "kernels/common/simd.h"

namespace roap::cpu::ROAP_ISA {

std::int64_t multiply_add_peak(std::int64_t rounds, float* sums) {
  using roap::simd::kLanes;
  using roap::simd::ROAP_ISA::Vec;
  constexpr int kSums = 12;  // independent, in registers: more than two units with a latency of four can start
  static_assert(kSums * kLanes <= kMultiplyAddSums);
  const Vec factor = roap::simd::ROAP_ISA::splat(sums[0]), term = roap::simd::ROAP_ISA::splat(sums[1]);
  Vec sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = term * static_cast<float>(i);
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * factor + term;
  }
  for (int i = 0; i < kSums; ++i) roap::simd::ROAP_ISA::store(sums + i * kLanes, sum[i]);
  return rounds * kSums * kLanes * 2;
}

}  // namespace roap::cpu::ROAP_ISA
