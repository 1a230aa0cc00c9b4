#include "engine/roofline.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/host_clock.h"
#include "kernels/common/parallel.h"
#include "kernels/linear/linear.h"

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
  constexpr std::int64_t kSize = 1024;  // many short repeats: other programs disturb some of them
  const std::vector<float> x(kSize * kSize, 1.0f), w(kSize * kSize, 0.5f);
  std::vector<float> y(kSize * kSize);
  const double product = fastest(24, [&] {
    cpu::linear_forward({kSize, kSize, kSize}, x.data(), w.data(), nullptr, y.data());
  });
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 0);
  const double copy = fastest(16, [&] {
    parallel_ranges(kBytes, kPiece, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
    });
  });
  return {2.0 * kBytes / copy, 2.0 * kSize * kSize * kSize / product, 0};
}

double floor_seconds(const Work& work, const Ceilings& ceilings) {
  const double flop = work.bf16 && ceilings.bf16_flop > 0 ? ceilings.bf16_flop : ceilings.f32_flop;
  return std::max(work.flop / flop, work.bytes / ceilings.bytes);
}

}  // namespace roap
