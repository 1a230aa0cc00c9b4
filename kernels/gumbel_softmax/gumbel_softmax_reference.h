#pragma once

#include <cmath>
#include <vector>

#include "kernels/gumbel_softmax/gumbel_softmax.h"

// The definition of gumbel_softmax: plain loops in float or double, on the same uniforms.

namespace roap::reference {

/// Row `task` of (logits + Gumbel) sharpness.
template <class Real>
std::vector<Real> noisy_logits(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, std::int64_t task,
                               const Real* logits, Real sharpness, const std::uint32_t* key) {
  std::vector<Real> noisy(static_cast<std::size_t>(d.logits));
  for (std::int64_t p = 0; p < d.logits; ++p) {
    const std::int64_t element = task * d.logits + p;
    Real gumbel{0};
    if (params.noise) {
      const Philox4 words = philox(random_key_of(key), static_cast<std::uint64_t>(element / 4));
      gumbel = -std::log(-std::log(static_cast<Real>(open_uniform(words.x[element % 4]))));
    }
    noisy[static_cast<std::size_t>(p)] = (logits[element] + gumbel) * sharpness;
  }
  return noisy;
}

template <class Real>
void softmax_groups(const GumbelSoftmaxParams& params, Real* values) {
  for (const int size : params.group_sizes) {
    Real largest = values[0];
    for (int i = 1; i < size; ++i) largest = values[i] > largest ? values[i] : largest;
    Real total{0};
    for (int i = 0; i < size; ++i) {
      values[i] = std::exp(values[i] - largest);
      total += values[i];
    }
    for (int i = 0; i < size; ++i) values[i] /= total;
    values += size;
  }
}

template <class Real>
void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const Real* logits,
                            const Real* sharpness, const std::uint32_t* key, Real* z) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    std::vector<Real> row = noisy_logits(d, params, t, logits, sharpness[0], key);
    if (!params.straight_through) softmax_groups(params, row.data());
    std::int64_t first = 0;
    for (const int size : params.group_sizes) {
      std::int64_t winner = first;
      for (std::int64_t p = first; p < first + size; ++p) {
        if (row[static_cast<std::size_t>(p)] > row[static_cast<std::size_t>(winner)]) winner = p;
      }
      for (std::int64_t p = first; p < first + size; ++p) {
        z[t * d.logits + p] = params.straight_through ? Real(p == winner) : row[static_cast<std::size_t>(p)];
      }
      first += size;
    }
  }
}

template <class Real>
void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const Real* dz,
                             const Real* logits, const Real* sharpness, const std::uint32_t* key, const Real* z,
                             Real* dlogits) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    std::vector<Real> p;
    if (params.straight_through) {
      p = noisy_logits(d, params, t, logits, sharpness[0], key);
      softmax_groups(params, p.data());
    } else {
      p.assign(z + t * d.logits, z + (t + 1) * d.logits);
    }
    std::int64_t first = 0;
    for (const int size : params.group_sizes) {
      Real dot{0};
      for (std::int64_t i = first; i < first + size; ++i) dot += dz[t * d.logits + i] * p[static_cast<std::size_t>(i)];
      for (std::int64_t i = first; i < first + size; ++i) {
        dlogits[t * d.logits + i] = sharpness[0] * p[static_cast<std::size_t>(i)] * (dz[t * d.logits + i] - dot);
      }
      first += size;
    }
  }
}

}  // namespace roap::reference
