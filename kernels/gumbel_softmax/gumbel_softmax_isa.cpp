#include "kernels/gumbel_softmax/gumbel_softmax_isa.h"

#include "kernels/common/simd_partial.h"

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

/// Natural logarithm of positive normal numbers, error below 2 ulp (polynomial of the Cephes library). Near 1 the
/// argument's distance from 1 is exact, so the relative error stays small there too.
Vec log_of_positive(Vec x) {
  const IntVec bits = reinterpret_cast<IntVec>(x);
  constexpr std::int32_t kSqrtHalf = 0x3f3504f3;
  const IntVec exponent = (bits - kSqrtHalf) >> 23;
  const Vec f = reinterpret_cast<Vec>(bits - (exponent << 23)) - 1.0f;  // in [sqrt(1/2) - 1, sqrt(2) - 1)
  const Vec e = __builtin_convertvector(exponent, Vec);
  constexpr float kCoefficients[] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                     -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
  Vec polynomial = splat(7.0376836292e-2f);
  for (const float c : kCoefficients) polynomial = polynomial * f + c;
  const Vec square = f * f;
  const Vec tail = polynomial * f * square + e * -2.12194440e-4f - 0.5f * square;
  return e * 0.693359375f + (f + tail);
}

/// exp(x) for x <= 0 (or NaN, which stays NaN), error below 2 ulp; 0 where the result would be subnormal.
Vec exp_of_nonpositive(Vec x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Vec shifted = x * 1.44269504088896341f + kRound;
  const Vec n = shifted - kRound;
  const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
  constexpr float kCoefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                     5.0000001201e-1f};
  Vec polynomial = splat(1.9875691500e-4f);
  for (const float c : kCoefficients) polynomial = polynomial * r + c;
  const Vec value = polynomial * (r * r) + r + 1.0f;
  const IntVec exponent = reinterpret_cast<IntVec>(shifted) - reinterpret_cast<IntVec>(splat(kRound));
  const Vec power = reinterpret_cast<Vec>((exponent + 127) << 23);
  return x < -87.3f ? Vec{} : value * power;
}

constexpr int kDraws =
    16;  // of four words each; a loop of fixed length without branches, which the compiler vectorises

/// Words 4 index .. 4 (index + kDraws) - 1 of the key's sequence, as uniform numbers.
void uniform_block(const RandomKey& key, std::uint64_t index, float* u) {
  for (int k = 0; k < kDraws; ++k) {
    const Philox4 words = philox(key, index + static_cast<std::uint64_t>(k));
    for (int word = 0; word < 4; ++word) u[4 * k + word] = open_uniform(words.x[word]);
  }
}

void uniform_row(const RandomKey& key, std::uint64_t first, std::int64_t count, float* u) {
  float block[4 * kDraws];
  std::int64_t skip = static_cast<std::int64_t>(first % 4);
  for (std::int64_t i = 0; i < count; skip = 0) {
    uniform_block(key, (first + static_cast<std::uint64_t>(i)) / 4, block);
    for (std::int64_t k = skip; k < 4 * kDraws && i < count; ++k, ++i) u[i] = block[k];
  }
}

}  // namespace

void noisy_logits_row(const NoisyRow& row, float* noisy) {
  if (row.noise) uniform_row(row.key, row.first_element, row.count, noisy);
  for (std::int64_t i = 0; i < row.count; i += kLanes) {
    const std::int64_t rest = row.count - i;
    Vec x = load_first(row.logits + i, rest);
    if (row.noise) x -= log_of_positive(-log_of_positive(load_first(noisy + i, rest)));
    store_first(noisy + i, rest, x * row.sharpness);
  }
}

void softmax_groups(const int* group_sizes, std::int64_t groups, float* values) {
  float* group = values;
  for (std::int64_t g = 0; g < groups; group += group_sizes[g], ++g) {
    float largest = group[0];
    for (int i = 1; i < group_sizes[g]; ++i) largest = group[i] > largest ? group[i] : largest;
    for (int i = 0; i < group_sizes[g]; ++i) group[i] -= largest;
  }
  const std::int64_t count = group - values;
  for (std::int64_t i = 0; i < count; i += kLanes) {
    store_first(values + i, count - i, exp_of_nonpositive(load_first(values + i, count - i)));
  }
  group = values;
  for (std::int64_t g = 0; g < groups; group += group_sizes[g], ++g) {
    float total = 0;
    for (int i = 0; i < group_sizes[g]; ++i) total += group[i];
    for (int i = 0; i < group_sizes[g]; ++i) group[i] /= total;
  }
}

}  // namespace roap::ROAP_ISA
