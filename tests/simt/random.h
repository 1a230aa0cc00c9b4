#pragma once

#include <cstdint>

namespace roap::simt {

/// Decides the order in which threads run: xorshift64*, because a number is drawn at every switch.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) {
    // Neighbouring seeds must not begin alike: one step of splitmix64.
    std::uint64_t x = seed + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    state_ = (x ^ (x >> 31)) | 1;
  }

  std::uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
  }
  /// In [0, n).
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((std::uint64_t{next()} * n) >> 32); }
  /// True once in n times, for a power of two.
  bool one_in(std::uint32_t n) { return (next() & (n - 1)) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace roap::simt
