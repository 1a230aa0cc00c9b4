#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/batch_norm/batch_norm.h"

// The definition of batch_norm: plain loops in float or double.

namespace roap::reference {

template <class Real>
void batch_norm_eval(const BatchNormDims& d, const BatchNormParams& params, const Real* x, const Real* gamma,
                     const Real* beta, const Real* mean, const Real* variance, const Real* residual, Real* y) {
  for (std::int64_t r = 0; r < d.rows; ++r) {
    for (std::int64_t j = 0; j < d.channels; ++j) {
      const std::int64_t k = r * d.channels + j;
      Real value = (x[k] - mean[j]) / std::sqrt(variance[j] + static_cast<Real>(params.eps)) * gamma[j] + beta[j];
      if (residual != nullptr) value += residual[k];
      y[k] = params.relu && value < 0 ? Real{0} : value;
    }
  }
}

template <class Real>
void batch_norm_statistics(const BatchNormDims& d, const Real* x, Real* mean, Real* variance) {
  for (std::int64_t j = 0; j < d.channels; ++j) {
    Real sum = 0;
    for (std::int64_t r = 0; r < d.rows; ++r) sum += x[r * d.channels + j];
    mean[j] = sum / static_cast<Real>(d.rows);
    Real squares = 0;
    for (std::int64_t r = 0; r < d.rows; ++r) {
      const Real deviation = x[r * d.channels + j] - mean[j];
      squares += deviation * deviation;
    }
    variance[j] = squares / static_cast<Real>(d.rows);
  }
}

template <class Real>
void batch_norm_forward(const BatchNormDims& d, const BatchNormParams& params, const Real* x, const Real* gamma,
                        const Real* beta, const Real* residual, Real* y, Real* mean, Real* variance) {
  batch_norm_statistics(d, x, mean, variance);
  batch_norm_eval(d, params, x, gamma, beta, mean, variance, residual, y);
}

template <class Real>
struct BatchNormGradients {
  Real *dx = nullptr, *dgamma = nullptr, *dbeta = nullptr, *dresidual = nullptr;
  bool accumulate_dx = false, accumulate_dresidual = false;
};

/// y null: no ReLU.
template <class Real>
void batch_norm_backward(const BatchNormDims& d, const BatchNormParams& params, const Real* dy, const Real* y,
                         const Real* x, const Real* gamma, const Real* mean, const Real* variance,
                         const BatchNormGradients<Real>& gradients) {
  const auto rows = static_cast<Real>(d.rows);
  const auto write = [](Real* target, std::int64_t k, Real value, bool accumulate) {
    if (target != nullptr) target[k] = accumulate ? target[k] + value : value;
  };
  for (std::int64_t j = 0; j < d.channels; ++j) {
    const Real r = 1 / std::sqrt(variance[j] + static_cast<Real>(params.eps));
    const auto g = [&](std::int64_t k) { return y == nullptr || y[k] > 0 ? dy[k] : Real{0}; };
    const auto xhat = [&](std::int64_t k) { return (x[k] - mean[j]) * r; };
    Real dbeta = 0;
    Real dgamma = 0;
    for (std::int64_t k = j; k < d.rows * d.channels; k += d.channels) {
      dbeta += g(k);
      dgamma += g(k) * xhat(k);
    }
    write(gradients.dbeta, j, dbeta, false);
    write(gradients.dgamma, j, dgamma, false);
    for (std::int64_t k = j; k < d.rows * d.channels; k += d.channels) {
      write(gradients.dx, k, gamma[j] * r * (g(k) - dbeta / rows - xhat(k) * dgamma / rows), gradients.accumulate_dx);
      write(gradients.dresidual, k, g(k), gradients.accumulate_dresidual);
    }
  }
}

template <class Real>
void batch_norm_update(double momentum, const Real* guard, const BatchNormRunning<Real>& layer) {
  const auto share = static_cast<Real>(momentum), count = static_cast<Real>(layer.count);
  for (std::int64_t j = 0; j < layer.channels; ++j) {
    const Real mean = layer.running_mean[j], variance = layer.running_variance[j];
    const Real unbiased = layer.variance[j] * count / std::max(Real{1}, count - 1);
    layer.new_mean[j] = guard[0] == 0 ? mean : mean + share * (layer.mean[j] - mean);
    layer.new_variance[j] = guard[0] == 0 ? variance : variance + share * (unbiased - variance);
  }
}

}  // namespace roap::reference
