#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "models/programs/expression.h"
#include "models/programs/split_mix.h"

namespace roap::programs {

/// The first primes from 2^59 pi and from 2^59 e on. Primes of a special form such as 2^61 - 1 would be a poor choice:
/// a short program can multiply a polynomial by them and look like 0.
inline constexpr std::array<std::uint64_t, 2> kPrimes = {1811004864519280733ULL, 1566982787806226803ULL};

/// log2 of a number below both primes.
inline constexpr double kLog2Prime = 60.0;

/// An element of the field of integers modulo kPrimes[Index].
template <int Index>
class Residue {
 public:
  static constexpr std::uint64_t kPrime = kPrimes[Index];

  constexpr Residue() = default;
  constexpr explicit Residue(std::int64_t value) {
    constexpr auto kSigned = static_cast<std::int64_t>(kPrime);
    value_ = static_cast<std::uint64_t>((value % kSigned + kSigned) % kSigned);
  }
  static Residue random(SplitMix64& generator) { return from_word(generator.below(kPrime)); }

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  constexpr bool operator==(const Residue&) const = default;

  friend constexpr Residue operator+(Residue a, Residue b) { return from_word((a.value_ + b.value_) % kPrime); }
  friend constexpr Residue operator-(Residue a, Residue b) {
    return from_word((a.value_ + kPrime - b.value_) % kPrime);
  }
  friend constexpr Residue operator*(Residue a, Residue b) {
    return from_word(static_cast<std::uint64_t>(static_cast<Wide>(a.value_) * b.value_ % kPrime));
  }

  /// 1 / *this by Fermat's little theorem; *this must not be 0.
  [[nodiscard]] constexpr Residue inverse() const {
    Residue result(1);
    Residue base = *this;
    for (std::uint64_t exponent = kPrime - 2; exponent > 0; exponent /= 2) {
      if (exponent % 2 == 1) result = result * base;
      base = base * base;
    }
    return result;
  }

 private:
  __extension__ typedef unsigned __int128 Wide;  // nvcc knows no such alias declaration

  static constexpr Residue from_word(std::uint64_t value) {
    Residue result;
    result.value_ = value;
    return result;
  }

  std::uint64_t value_ = 0;
};

template <int Index>
Residue<Index> evaluate(const Expression& expression, std::span<const Residue<Index>> symbols) {
  return expression.fold<Residue<Index>>([&](int variable) { return symbols[variable]; }, apply<Residue<Index>>);
}

template <int Index>
std::vector<Residue<Index>> random_point(int variables, SplitMix64& generator) {
  std::vector<Residue<Index>> point;
  for (int variable = 0; variable < variables; ++variable) point.push_back(Residue<Index>::random(generator));
  return point;
}

}  // namespace roap::programs
