#pragma once

#include <cstdint>

namespace roap::programs {

/// SplitMix64 (Steele, Lea and Flood 2014): the same sequence on every machine, unlike the distributions of <random>.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix(state_ += 0x9E3779B97F4A7C15ULL); }

  /// Uniform in 0..bound-1, bound > 0; without bias, because the words beyond the last full multiple are drawn again.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t first_accepted = (0 - bound) % bound;
    for (;;) {
      const std::uint64_t word = next();
      if (word >= first_accepted) return word % bound;
    }
  }

  /// The generator's output function: a bijection that spreads every input bit over the word.
  static constexpr std::uint64_t mix(std::uint64_t word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ULL;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL;
    return word ^ (word >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace roap::programs
