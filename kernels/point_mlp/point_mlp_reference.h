#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/point_mlp/point_mlp.h"

// The definition of point_mlp: every row on its own, plain loops in float or double.

namespace roap::reference {

/// What the network computes on one row.
template <class Real>
struct PointMlpRow {
  std::vector<Real> x, xhat1, a1, xhat2, a2, z3;
  Real rstd1{}, rstd2{};
};

/// a = relu(gamma * xhat + beta), xhat = (z - mean) * rstd.
template <class Real>
void point_mlp_normalise_relu(const std::vector<Real>& z, const Real* gamma, const Real* beta, std::vector<Real>& xhat,
                              Real& rstd, std::vector<Real>& a) {
  const auto n = static_cast<Real>(z.size());
  Real mean{0}, variance{0};
  for (const Real value : z) mean += value / n;
  for (const Real value : z) variance += (value - mean) * (value - mean) / n;
  rstd = 1 / std::sqrt(variance + static_cast<Real>(kPointMlpEpsilon));
  xhat.resize(z.size());
  a.resize(z.size());
  for (std::size_t k = 0; k < z.size(); ++k) {
    xhat[k] = (z[k] - mean) * rstd;
    a[k] = std::max(gamma[k] * xhat[k] + beta[k], Real{0});
  }
}

/// w x + b, w [out, x.size()].
template <class Real>
std::vector<Real> point_mlp_linear(const Real* w, const Real* b, std::int64_t out, const std::vector<Real>& x) {
  std::vector<Real> z(b, b + out);
  for (std::size_t o = 0; o < z.size(); ++o) {
    for (std::size_t k = 0; k < x.size(); ++k) z[o] += w[o * x.size() + k] * x[k];
  }
  return z;
}

template <class Real>
PointMlpRow<Real> point_mlp_row(const PointMlpDims& d, const PointMlpInputs<Real>& in, std::int64_t t, std::int64_t g,
                                std::int64_t i) {
  PointMlpRow<Real> row;
  row.x = {in.y[t * d.pairs + i]};
  for (std::int64_t j = 0; j < d.in - 1; ++j) row.x.push_back(in.s[i * d.symbols + in.columns[g * (d.in - 1) + j]]);
  const auto& w = in.w;
  point_mlp_normalise_relu(point_mlp_linear(w.w0, w.b0, d.hidden, row.x), w.gamma1, w.beta1, row.xhat1, row.rstd1,
                           row.a1);
  point_mlp_normalise_relu(point_mlp_linear(w.w3, w.b3, d.hidden, row.a1), w.gamma4, w.beta4, row.xhat2, row.rstd2,
                           row.a2);
  row.z3 = point_mlp_linear(w.w6, w.b6, d.features, row.a2);
  return row;
}

template <class Real>
void point_mlp_forward(const PointMlpDims& d, const PointMlpInputs<Real>& in, Real* h, std::int32_t* index) {
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    for (std::int64_t g = 0; g < d.groups; ++g) {
      const std::int64_t at = (t * d.groups + g) * d.features;
      for (std::int64_t i = 0; i < d.pairs; ++i) {
        const PointMlpRow<Real> row = point_mlp_row(d, in, t, g, i);
        for (std::int64_t f = 0; f < d.features; ++f) {
          if (i > 0 && !(row.z3[static_cast<std::size_t>(f)] > h[at + f])) continue;
          h[at + f] = row.z3[static_cast<std::size_t>(f)];
          index[at + f] = static_cast<std::int32_t>(i);
        }
      }
    }
  }
}

/// dz of a Linear z = w x + b: adds to dw and db, returns dx.
template <class Real>
std::vector<Real> point_mlp_linear_backward(const Real* w, const std::vector<Real>& x, const std::vector<Real>& dz,
                                            Real* dw, Real* db) {
  std::vector<Real> dx(x.size(), Real{0});
  for (std::size_t o = 0; o < dz.size(); ++o) {
    db[o] += dz[o];
    for (std::size_t k = 0; k < x.size(); ++k) {
      dw[o * x.size() + k] += dz[o] * x[k];
      dx[k] += w[o * x.size() + k] * dz[o];
    }
  }
  return dx;
}

/// da of a = relu(gamma * xhat + beta): adds to dgamma and dbeta, returns dz of the LayerNorm's input.
template <class Real>
std::vector<Real> point_mlp_normalise_relu_backward(const std::vector<Real>& xhat, Real rstd,
                                                    const std::vector<Real>& a, const Real* gamma,
                                                    const std::vector<Real>& da, Real* dgamma, Real* dbeta) {
  const auto n = static_cast<Real>(a.size());
  std::vector<Real> dz(a.size());
  Real mean{0}, mean_xhat{0};
  for (std::size_t k = 0; k < a.size(); ++k) {
    const Real gradient = a[k] > 0 ? da[k] : Real{0};
    dgamma[k] += gradient * xhat[k];
    dbeta[k] += gradient;
    dz[k] = gradient * gamma[k];
    mean += dz[k] / n;
    mean_xhat += dz[k] * xhat[k] / n;
  }
  for (std::size_t k = 0; k < a.size(); ++k) dz[k] = rstd * (dz[k] - mean - xhat[k] * mean_xhat);
  return dz;
}

/// Adds to ds and to the weights' gradients `dw`, none of them null.
template <class Real>
void point_mlp_backward(const PointMlpDims& d, const PointMlpInputs<Real>& in, const Real* dh,
                        const std::int32_t* index, Real* ds, const PointMlpWeights<Real>& dw) {
  const auto& w = in.w;
  for (std::int64_t task_group = 0; task_group < d.tasks * d.groups; ++task_group) {
    const std::int64_t t = task_group / d.groups, g = task_group % d.groups;
    for (std::int64_t i = 0; i < d.pairs; ++i) {
      std::vector<Real> dz3(static_cast<std::size_t>(d.features), Real{0});
      bool wins = false;
      for (std::int64_t f = 0; f < d.features; ++f) {
        if (index[task_group * d.features + f] != i) continue;
        wins = true;
        dz3[static_cast<std::size_t>(f)] = dh[task_group * d.features + f];
      }
      if (!wins) continue;
      const PointMlpRow<Real> row = point_mlp_row(d, in, t, g, i);
      const auto da2 = point_mlp_linear_backward(w.w6, row.a2, dz3, dw.w6, dw.b6);
      const auto dz2 =
          point_mlp_normalise_relu_backward(row.xhat2, row.rstd2, row.a2, w.gamma4, da2, dw.gamma4, dw.beta4);
      const auto da1 = point_mlp_linear_backward(w.w3, row.a1, dz2, dw.w3, dw.b3);
      const auto dz1 =
          point_mlp_normalise_relu_backward(row.xhat1, row.rstd1, row.a1, w.gamma1, da1, dw.gamma1, dw.beta1);
      const auto dx = point_mlp_linear_backward(w.w0, row.x, dz1, dw.w0, dw.b0);
      for (std::int64_t j = 0; j < d.in - 1; ++j) {
        ds[i * d.symbols + in.columns[g * (d.in - 1) + j]] += dx[static_cast<std::size_t>(j + 1)];
      }
    }
  }
}

}  // namespace roap::reference
