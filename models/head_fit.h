#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/op.h"

namespace roap {

/// Numbers that MLPs are fitted to: the same symbols give the y of every task.
struct HeadFitData {
  int variables = 0;
  std::span<const float> symbols;  ///< [pairs, V]
  std::span<const float> y;        ///< [T, pairs]
  std::span<const float> sigma;    ///< [T], the scale of y
};

struct HeadFitOptions {
  int width = 256;  ///< of the hidden layers
  int steps = 1000;
  int pairs_per_step = 100;  ///< the pairs are taken in turn
  double rate = 3e-3;        ///< of Adam, falling along a cosine
  std::uint64_t seed = 0;    ///< of the initial weights
};

/// Fits a new MLP (as of method mlp-disjoint) to every task, the symbols being fixed, by Adam on the mean squared error
/// in units of sigma^2; returns what they say about `symbols` [n, V]: yhat [T, n].
std::vector<float> fit_heads(const HeadFitData& data, std::span<const float> symbols, const HeadFitOptions& options,
                             DeviceKind device);

}  // namespace roap
