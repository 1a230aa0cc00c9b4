#pragma once

#include <cmath>

#include "kernels/layer_norm/layer_norm.h"

// The definition of layer_norm: plain loops in float or double.

namespace roap::reference {

template <class Real>
void layer_norm_forward(const LayerNormDims& d, const Real* x, const Real* gamma, const Real* beta, Real* y, Real* mean,
                        Real* rstd) {
  const auto n = static_cast<Real>(d.columns);
  for (std::int64_t r = 0; r < d.rows; ++r) {
    const Real* row = x + r * d.columns;
    Real sum{0}, squares{0};
    for (std::int64_t k = 0; k < d.columns; ++k) sum += row[k];
    mean[r] = sum / n;
    for (std::int64_t k = 0; k < d.columns; ++k) squares += (row[k] - mean[r]) * (row[k] - mean[r]);
    rstd[r] = 1 / std::sqrt(squares / n + static_cast<Real>(d.epsilon));
    for (std::int64_t k = 0; k < d.columns; ++k) {
      const Real value = gamma[k] * ((row[k] - mean[r]) * rstd[r]) + beta[k];
      y[r * d.columns + k] = d.relu && value < 0 ? Real{0} : value;
    }
  }
}

/// Null outputs are skipped.
template <class Real>
void layer_norm_backward(const LayerNormDims& d, const Real* dy, const Real* y, const Real* x, const Real* gamma,
                         const Real* mean, const Real* rstd, Real* dx, bool accumulate, Real* dgamma, Real* dbeta) {
  const auto n = static_cast<Real>(d.columns);
  const auto g = [&](std::int64_t at) { return d.relu && !(y[at] > 0) ? Real{0} : dy[at]; };
  const auto xhat = [&](std::int64_t at) { return (x[at] - mean[at / d.columns]) * rstd[at / d.columns]; };
  for (std::int64_t r = 0; r < d.rows && dx != nullptr; ++r) {
    Real u_mean{0}, u_xhat_mean{0};
    for (std::int64_t k = 0; k < d.columns; ++k) {
      const std::int64_t at = r * d.columns + k;
      u_mean += g(at) * gamma[k] / n;
      u_xhat_mean += g(at) * gamma[k] * xhat(at) / n;
    }
    for (std::int64_t k = 0; k < d.columns; ++k) {
      const std::int64_t at = r * d.columns + k;
      dx[at] = (accumulate ? dx[at] : Real{0}) + rstd[r] * (g(at) * gamma[k] - u_mean - xhat(at) * u_xhat_mean);
    }
  }
  for (std::int64_t k = 0; k < d.columns; ++k) {
    Real dgamma_sum{0}, dbeta_sum{0};
    for (std::int64_t r = 0; r < d.rows; ++r) {
      dgamma_sum += g(r * d.columns + k) * xhat(r * d.columns + k);
      dbeta_sum += g(r * d.columns + k);
    }
    if (dgamma != nullptr) dgamma[k] = dgamma_sum;
    if (dbeta != nullptr) dbeta[k] = dbeta_sum;
  }
}

}  // namespace roap::reference
