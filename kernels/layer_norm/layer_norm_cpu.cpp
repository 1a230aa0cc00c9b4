#include "kernels/common/parallel.h"
#include "kernels/layer_norm/layer_norm_isa.h"

// Rows in fixed ranges; dgamma and dbeta have one partial sum per range, added in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kForwardGrain = 64;
constexpr std::int64_t kLeastGrain = 32, kMostPieces = 64;

std::int64_t backward_grain(const LayerNormDims& d) { return std::max(kLeastGrain, pieces_of(d.rows, kMostPieces)); }

}  // namespace

void layer_norm_forward(const LayerNormDims& d, const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd) {
  parallel_ranges(d.rows, kForwardGrain, [&](std::int64_t begin, std::int64_t end) {
    layer_norm_forward_rows(d, begin, end, x, gamma, beta, y, mean, rstd);
  });
}

std::size_t layer_norm_backward_workspace(const LayerNormDims& d) {
  return static_cast<std::size_t>(pieces_of(d.rows, backward_grain(d)) * 2 * d.columns) * sizeof(float);
}

void layer_norm_backward(const LayerNormDims& d, const float* dy, const float* y, const float* x, const float* gamma,
                         const float* mean, const float* rstd, float* dx, bool accumulate, float* dgamma, float* dbeta,
                         float* workspace) {
  const std::int64_t grain = backward_grain(d);
  parallel_ranges(d.rows, grain, [&](std::int64_t begin, std::int64_t end) {
    float* part = workspace + begin / grain * 2 * d.columns;
    std::fill_n(part, 2 * d.columns, 0.0f);
    layer_norm_backward_rows(d, begin, end, {dy, y, x, gamma, mean, rstd, dx, accumulate, part, part + d.columns});
  });
  const auto add_parts = [&](const float* parts, float* out) {
    if (out == nullptr) return;
    std::fill_n(out, d.columns, 0.0f);
    for (std::int64_t piece = 0; piece < pieces_of(d.rows, grain); ++piece) {
      for (std::int64_t k = 0; k < d.columns; ++k) out[k] += parts[piece * 2 * d.columns + k];
    }
  };
  add_parts(workspace, dgamma);
  add_parts(workspace + d.columns, dbeta);
}

}  // namespace roap::cpu
