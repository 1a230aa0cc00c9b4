#pragma once

#include <cstdint>

#include "kernels/common/host_device.h"

// Counter-based random numbers, the same on every device and thread count: Salmon et al. 2011, "Parallel random
// numbers: as easy as 1, 2, 3", Philox4x32-10.

// Static functions, because files compiled for several instruction sets include this header.

namespace roap {

/// What a sequence of random numbers is used for; part of the generator's counter, so that streams never overlap.
enum class RandomStream : std::uint32_t {
  initialization = 1,
  training_pairs = 2,
  gumbel = 3,
  augmentation = 4,
  evaluation_pairs = 5,
  test = 6,
  decision_pairs = 7,
};

/// Where a stream stands: the four 32-bit words that name one step's numbers, together with the index of a draw. A
/// rollback increments `epoch` to go on with fresh numbers.
struct RandomKey {
  std::uint32_t seed_low = 0, seed_high = 0;
  std::uint32_t stream = 0;  ///< RandomStream, in the low byte; the rollback epoch above it
  std::uint32_t step = 0;
};

struct Philox4 {
  std::uint32_t x[4];
};

/// Four random words for draw number `index` of `key`.
ROAP_HOST_DEVICE static inline Philox4 philox(const RandomKey& key, std::uint64_t index) {
  std::uint32_t c0 = static_cast<std::uint32_t>(index), c1 = static_cast<std::uint32_t>(index >> 32);
  std::uint32_t c2 = key.step, c3 = key.stream;
  std::uint32_t k0 = key.seed_low, k1 = key.seed_high;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform in the open interval (0, 1): (bits + 1/2) / 2^23 with 23 bits, exactly representable in float, never 0 or 1.
ROAP_HOST_DEVICE static inline float open_uniform(std::uint32_t bits) {
  return (static_cast<float>(bits >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

/// Integer in [0, n) by multiplication of the high part; the bias is below n / 2^32.
ROAP_HOST_DEVICE static inline std::uint32_t bounded(std::uint32_t bits, std::uint32_t n) {
  return static_cast<std::uint32_t>((std::uint64_t{bits} * n) >> 32);
}

static inline RandomKey random_key(std::uint64_t seed, RandomStream stream, std::uint64_t step,
                                   std::uint32_t epoch = 0) {
  return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
          static_cast<std::uint32_t>(stream) | (epoch << 8), static_cast<std::uint32_t>(step)};
}

}  // namespace roap
