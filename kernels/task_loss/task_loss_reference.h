#pragma once

#include <cmath>

#include "kernels/task_loss/task_loss.h"

// The definition of task_loss: plain loops in float or double.

namespace roap::reference {

template <class Real>
void task_loss_forward(const TaskLossDims& d, const TaskLossParams& params, const Real* yhat, const Real* y,
                       const Real* sigma, const Real* length, const Real* lambda, const Real* floor, Real* loss,
                       Real* error) {
  const bool profiled = params.kind == TaskLossKind::profiled;
  const Real samples = static_cast<Real>(d.samples);
  Real total{0};
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    Real errors{0}, likelihoods{0};
    for (std::int64_t row = t * d.samples; row < (t + 1) * d.samples; ++row) {
      Real sum{0};
      for (std::int64_t i = 0; i < d.pairs; ++i) {
        const Real residual = (yhat[row * d.pairs + i] - y[t * d.pairs + i]) / sigma[t];
        sum += residual * residual;
      }
      error[row] = sum / static_cast<Real>(d.pairs);
      errors += error[row];
      if (profiled) likelihoods += 1 / (floor[0] + error[row]);
      if (length != nullptr) total += lambda[0] * length[row] / samples;
    }
    total += profiled ? -std::log(likelihoods / samples) : errors / samples;
  }
  loss[0] = total / static_cast<Real>(d.tasks);
}

template <class Real>
void task_loss_backward(const TaskLossDims& d, const TaskLossParams& params, const Real* dloss, const Real* yhat,
                        const Real* y, const Real* sigma, const Real* lambda, const Real* floor, const Real* error,
                        Real* dyhat, Real* dlength) {
  const bool profiled = params.kind == TaskLossKind::profiled;
  const Real share = dloss[0] / static_cast<Real>(d.tasks);
  const Real samples = static_cast<Real>(d.samples);
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    Real likelihoods{0};
    for (std::int64_t row = t * d.samples; profiled && row < (t + 1) * d.samples; ++row) {
      likelihoods += 1 / (floor[0] + error[row]);
    }
    for (std::int64_t row = t * d.samples; row < (t + 1) * d.samples; ++row) {
      if (dlength != nullptr) dlength[row] = share * lambda[0] / samples;
      if (dyhat == nullptr) continue;
      const Real likelihood = profiled ? 1 / (floor[0] + error[row]) : Real{1};
      const Real weight = profiled ? likelihood * likelihood / likelihoods : 1 / samples;
      for (std::int64_t i = 0; i < d.pairs; ++i) {
        const Real difference = yhat[row * d.pairs + i] - y[t * d.pairs + i];
        dyhat[row * d.pairs + i] = share * weight * 2 * difference / (static_cast<Real>(d.pairs) * sigma[t] * sigma[t]);
      }
    }
  }
}

}  // namespace roap::reference
