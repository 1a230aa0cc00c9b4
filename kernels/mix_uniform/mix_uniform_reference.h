#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/mix_uniform/mix_uniform.h"

// The definition of mix_uniform: plain loops in float or double.

namespace roap::reference {

/// log softmax of n logits.
template <class Real>
std::vector<Real> log_softmax(const Real* logits, int n) {
  const Real largest = *std::max_element(logits, logits + n);
  Real total{0};
  for (int i = 0; i < n; ++i) total += std::exp(logits[i] - largest);
  std::vector<Real> result(logits, logits + n);
  for (Real& x : result) x -= largest + std::log(total);
  return result;
}

template <class Real>
void mix_uniform_forward(const MixUniformDims& d, const MixUniformParams& params, const Real* logits, const Real* share,
                         Real* mixed) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (const int n : params.group_sizes) {
      const std::vector<Real> log_p = log_softmax(logits, n);
      for (int i = 0; i < n; ++i) {
        const Real p = std::exp(log_p[static_cast<std::size_t>(i)]);
        mixed[i] = share[0] == 0 ? log_p[static_cast<std::size_t>(i)]
                                 : std::log((1 - share[0]) * p + share[0] / static_cast<Real>(n));
      }
      logits += n;
      mixed += n;
    }
  }
}

template <class Real>
void mix_uniform_backward(const MixUniformDims& d, const MixUniformParams& params, const Real* dmixed,
                          const Real* logits, const Real* share, Real* dlogits) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (const int n : params.group_sizes) {
      const std::vector<Real> log_p = log_softmax(logits, n);
      const auto p = [&](int i) { return std::exp(log_p[static_cast<std::size_t>(i)]); };
      // g p, which stays finite where p underflows and nothing is mixed in
      const auto gp = [&](int i) {
        const Real ratio =
            share[0] == 0 ? Real{1} : (1 - share[0]) * p(i) / ((1 - share[0]) * p(i) + share[0] / static_cast<Real>(n));
        return dmixed[i] * ratio;
      };
      Real sum{0};
      for (int i = 0; i < n; ++i) sum += gp(i);
      for (int i = 0; i < n; ++i) dlogits[i] = gp(i) - p(i) * sum;
      dmixed += n;
      logits += n;
      dlogits += n;
    }
  }
}

}  // namespace roap::reference
