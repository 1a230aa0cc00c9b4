#include "kernels/layer_norm/layer_norm_isa.h"

#include "kernels/common/simd.h"

// Computes: layer normalisation of a range of rows, and its gradients.
// Mapping: one row at a time; columns in vectors, the rest one by one.
// Numerics: a sum over columns adds lane by lane, then the lanes by halving, then the rest; two passes for the
//   variance.

namespace roap::cpu::ROAP_ISA {

using roap::simd::kLanes;
using roap::simd::ROAP_ISA::load;
using roap::simd::ROAP_ISA::store;
using roap::simd::ROAP_ISA::sum;
using roap::simd::ROAP_ISA::Vec;

void layer_norm_forward_rows(const LayerNormDims& d, std::int64_t begin, std::int64_t end, const float* x,
                             const float* gamma, const float* beta, float* y, float* mean, float* rstd) {
  const std::int64_t n = d.columns, whole = n / kLanes * kLanes;
  for (std::int64_t r = begin; r < end; ++r) {
    const float* row = x + r * n;
    float* out = y + r * n;
    Vec lanes{};
    for (std::int64_t k = 0; k < whole; k += kLanes) lanes += load(row + k);
    float total = sum(lanes);
    for (std::int64_t k = whole; k < n; ++k) total += row[k];
    const float m = total / static_cast<float>(n);

    Vec squares{};
    for (std::int64_t k = 0; k < whole; k += kLanes) squares += (load(row + k) - m) * (load(row + k) - m);
    total = sum(squares);
    for (std::int64_t k = whole; k < n; ++k) total += (row[k] - m) * (row[k] - m);
    const float scale = 1.0f / __builtin_sqrtf(total / static_cast<float>(n) + d.epsilon);

    for (std::int64_t k = 0; k < whole; k += kLanes) {
      const Vec value = (load(row + k) - m) * scale * load(gamma + k) + load(beta + k);
      store(out + k, d.relu ? (value < Vec{} ? Vec{} : value) : value);
    }
    for (std::int64_t k = whole; k < n; ++k) {
      const float value = (row[k] - m) * scale * gamma[k] + beta[k];
      out[k] = d.relu && value < 0 ? 0 : value;
    }
    mean[r] = m;
    rstd[r] = scale;
  }
}

namespace {

/// First pass over a row: adds to dgamma and dbeta, returns the means of u and u * xhat (see layer_norm.h).
struct RowMeans {
  float u, u_xhat;
};

RowMeans backward_sums(const LayerNormDims& d, std::int64_t r, const LayerNormBackwardRows& a) {
  const std::int64_t n = d.columns, whole = n / kLanes * kLanes;
  const float *dy = a.dy + r * n, *x = a.x + r * n, *y = d.relu ? a.y + r * n : nullptr;
  Vec u_sum{}, u_xhat_sum{};
  for (std::int64_t k = 0; k < whole; k += kLanes) {
    Vec g = load(dy + k);
    if (d.relu) g = load(y + k) > Vec{} ? g : Vec{};
    const Vec g_xhat = g * ((load(x + k) - a.mean[r]) * a.rstd[r]);
    store(a.dgamma + k, load(a.dgamma + k) + g_xhat);
    store(a.dbeta + k, load(a.dbeta + k) + g);
    u_sum += g * load(a.gamma + k);
    u_xhat_sum += g_xhat * load(a.gamma + k);
  }
  float u = sum(u_sum), u_xhat = sum(u_xhat_sum);
  for (std::int64_t k = whole; k < n; ++k) {
    const float g = d.relu && !(y[k] > 0) ? 0 : dy[k];
    const float g_xhat = g * ((x[k] - a.mean[r]) * a.rstd[r]);
    a.dgamma[k] += g_xhat;
    a.dbeta[k] += g;
    u += g * a.gamma[k];
    u_xhat += g_xhat * a.gamma[k];
  }
  return {u / static_cast<float>(n), u_xhat / static_cast<float>(n)};
}

void backward_data(const LayerNormDims& d, std::int64_t r, const LayerNormBackwardRows& a, const RowMeans& means) {
  const std::int64_t n = d.columns, whole = n / kLanes * kLanes;
  const float *dy = a.dy + r * n, *x = a.x + r * n, *y = d.relu ? a.y + r * n : nullptr;
  float* dx = a.dx + r * n;
  for (std::int64_t k = 0; k < whole; k += kLanes) {
    Vec g = load(dy + k);
    if (d.relu) g = load(y + k) > Vec{} ? g : Vec{};
    const Vec xhat = (load(x + k) - a.mean[r]) * a.rstd[r];
    const Vec value = a.rstd[r] * (g * load(a.gamma + k) - means.u - xhat * means.u_xhat);
    store(dx + k, a.accumulate ? load(dx + k) + value : value);
  }
  for (std::int64_t k = whole; k < n; ++k) {
    const float g = d.relu && !(y[k] > 0) ? 0 : dy[k];
    const float xhat = (x[k] - a.mean[r]) * a.rstd[r];
    const float value = a.rstd[r] * (g * a.gamma[k] - means.u - xhat * means.u_xhat);
    dx[k] = a.accumulate ? dx[k] + value : value;
  }
}

}  // namespace

void layer_norm_backward_rows(const LayerNormDims& d, std::int64_t begin, std::int64_t end,
                              const LayerNormBackwardRows& rows) {
  for (std::int64_t r = begin; r < end; ++r) {
    const RowMeans means = backward_sums(d, r, rows);
    if (rows.dx != nullptr) backward_data(d, r, rows, means);
  }
}

}  // namespace roap::cpu::ROAP_ISA
