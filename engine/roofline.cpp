#include "engine/roofline.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "engine/host_clock.h"
#include "kernels/common/multiply_add_peak.h"
#include "kernels/common/parallel.h"

namespace roap {

namespace {

/// Seconds of the fastest of several calls.
template <class Function>
double fastest(int repeats, Function&& function) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const double start = host_seconds();
    function();
    best = std::min(best, host_seconds() - start);
  }
  return best;
}

}  // namespace

Ceilings measure_cpu_ceilings() {
  constexpr std::int64_t kPieces = 64, kRounds = 4000;  // many short repeats: other programs disturb some of them
  std::vector<std::int64_t> flop(kPieces);
  const double peak = fastest(400, [&] {
    parallel_for(kPieces, [&](std::int64_t i) {
      std::array<float, cpu::kMultiplyAddSums> sums{0.5f, 1.0f};
      flop[static_cast<std::size_t>(i)] = cpu::multiply_add_peak(kRounds, sums.data());
    });
  });
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 0);
  const double copy = fastest(16, [&] {
    parallel_ranges(kBytes, kPiece, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
    });
  });
  return {2.0 * kBytes / copy, static_cast<double>(std::accumulate(flop.begin(), flop.end(), std::int64_t{0})) / peak,
          0};
}

double floor_seconds(const Work& work, const Ceilings& ceilings) {
  const double flop = work.bf16 && ceilings.bf16_flop > 0 ? ceilings.bf16_flop : ceilings.f32_flop;
  return std::max(work.flop / flop, work.bytes / ceilings.bytes);
}

}  // namespace roap
