#include "kernels/common/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

namespace roap {
namespace {

using Words = std::array<std::uint32_t, 4>;

/// The generator as published: counter (index low, index high, step, stream), key (seed low, seed high).
Words draw(Words counter, std::array<std::uint32_t, 2> key) {
  const RandomKey words{key[0], key[1], counter[3], counter[2]};
  const Philox4 result = philox(words, std::uint64_t{counter[1]} << 32 | counter[0]);
  return {result.x[0], result.x[1], result.x[2], result.x[3]};
}

// Known answers of philox4x32 with 10 rounds, from the authors' Random123 library (tests/kat_vectors).
TEST(Philox, MatchesPublishedAnswers) {
  EXPECT_EQ(draw({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(draw({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(draw({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, OpenUniformNeverReachesItsEnds) {
  EXPECT_GT(open_uniform(0), 0.0f);
  EXPECT_LT(open_uniform(0xffffffffu), 1.0f);
  EXPECT_EQ(open_uniform(0), 0.5f / 8388608.0f);
  EXPECT_EQ(open_uniform(0xffffffffu), 1.0f - 0.5f / 8388608.0f);
}

TEST(Philox, BoundedCoversExactlyItsRange) {
  EXPECT_EQ(bounded(0, 10), 0u);
  EXPECT_EQ(bounded(0xffffffffu, 10), 9u);
  EXPECT_EQ(bounded(0xffffffffu, 1), 0u);
}

TEST(Philox, KeysOfDifferentUseDiffer) {
  std::set<std::array<std::uint32_t, 4>> keys;
  for (const auto stream : {RandomStream::training_pairs, RandomStream::gumbel, RandomStream::augmentation}) {
    for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32}) {
      for (const std::uint64_t step : {0ull, 1ull}) {
        for (const std::uint32_t epoch : {0u, 1u}) {
          const RandomKey key = random_key(seed, stream, step, epoch);
          keys.insert({key.seed_low, key.seed_high, key.stream, key.step});
        }
      }
    }
  }
  EXPECT_EQ(keys.size(), 3u * 3u * 2u * 2u);
}

}  // namespace
}  // namespace roap
