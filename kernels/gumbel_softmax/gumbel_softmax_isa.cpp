#include "kernels/gumbel_softmax/gumbel_softmax_isa.h"

#include "kernels/common/simd_math.h"
#include "kernels/common/simd_partial.h"

namespace roap::ROAP_ISA {

using namespace simd::ROAP_ISA;
using simd::kLanes;

namespace {

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
