#include <cmath>

#include "kernels/common/parallel.h"
#include "kernels/gradient_guard/gradient_guard.h"

// Computes: finiteness and norm of all gradients.
// Mapping: a piece owns kGrain gradients.
// Memory: reads them once.
// Numerics: kChains interleaved sums in double per piece, then chains and pieces in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kGrain = 16384;
constexpr int kChains = 8;

double sum_of_squares(const float* values, std::int64_t count) {
  double sums[kChains] = {};
  std::int64_t i = 0;
  for (; i + kChains <= count; i += kChains) {
    for (int k = 0; k < kChains; ++k) sums[k] += double{values[i + k]} * double{values[i + k]};
  }
  for (; i < count; ++i) sums[0] += double{values[i]} * double{values[i]};
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

std::size_t gradient_guard_workspace(std::int64_t count) {
  return sizeof(double) * static_cast<std::size_t>(pieces_of(count, kGrain));
}

void gradient_guard(std::int64_t count, const float* loss, const float* gradients, float* guard, double* workspace) {
  parallel_ranges(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    workspace[begin / kGrain] = sum_of_squares(gradients + begin, end - begin);
  });
  double total = 0;
  for (std::int64_t piece = 0; piece < pieces_of(count, kGrain); ++piece) total += workspace[piece];
  guard[0] = std::isfinite(loss[0]) && std::isfinite(total) ? 1.0f : 0.0f;
  guard[1] = static_cast<float>(std::sqrt(total));
}

}  // namespace roap::cpu
