#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/wake_loss/wake_loss.h"

// The definition of wake_loss: plain loops in float or double.

namespace roap::reference {

/// Normalised weight of sample s of task t.
template <class Real>
Real wake_weight(const WakeLossDims& d, const WakeLossParams& params, const Real* error, std::int64_t t, std::int64_t s) {
  const Real floor = static_cast<Real>(params.floor);
  Real sum{0};
  for (std::int64_t k = 0; k < d.samples; ++k) sum += 1 / (floor + error[t * d.samples + k]);
  return 1 / (floor + error[t * d.samples + s]) / sum;
}

template <class Real>
Real group_log_sum(const Real* logits, int size) {
  const Real largest = *std::max_element(logits, logits + size);
  Real sum{0};
  for (int i = 0; i < size; ++i) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum);
}

template <class Real>
void wake_loss_forward(const WakeLossDims& d, const WakeLossParams& params, const Real* base, const Real* logits,
                       const Real* z, const Real* error, Real* total) {
  Real sum{0};
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t s = 0; s < d.samples; ++s) {
      const Real weight = wake_weight(d, params, error, t, s);
      const Real* row = logits + t * d.logits;
      const Real* sample = z + (t * d.samples + s) * d.logits;
      for (const int size : params.group_sizes) {
        const auto choice = std::max_element(sample, sample + size) - sample;
        sum += weight * (group_log_sum(row, size) - row[choice]);
        row += size;
        sample += size;
      }
    }
  }
  total[0] = base[0] + static_cast<Real>(params.weight) * sum / static_cast<Real>(d.tasks);
}

template <class Real>
void wake_loss_backward(const WakeLossDims& d, const WakeLossParams& params, const Real* dtotal, const Real* logits,
                        const Real* z, const Real* error, Real* dbase, Real* dlogits) {
  if (dbase != nullptr) dbase[0] = dtotal[0];
  if (dlogits == nullptr) return;
  const Real share = dtotal[0] * static_cast<Real>(params.weight) / static_cast<Real>(d.tasks);
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    std::int64_t first = t * d.logits;
    std::int64_t offset = 0;
    for (const int size : params.group_sizes) {
      const Real log_sum = group_log_sum(logits + first, size);
      for (int i = 0; i < size; ++i) dlogits[first + i] = share * std::exp(logits[first + i] - log_sum);
      for (std::int64_t s = 0; s < d.samples; ++s) {
        const Real* sample = z + (t * d.samples + s) * d.logits + offset;
        const auto choice = std::max_element(sample, sample + size) - sample;
        dlogits[first + choice] -= share * wake_weight(d, params, error, t, s);
      }
      first += size;
      offset += size;
    }
  }
}

}  // namespace roap::reference
