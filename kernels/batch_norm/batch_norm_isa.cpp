#include "kernels/batch_norm/batch_norm_block.h"

// Computes: the four loops of batch_norm over a block of rows; the inner loops run over channels and vectorise as they
// stand. Memory: a block is small enough to stay in the first cache, so that the moments can take two passes. Numerics:
// sums run over the rows of a block in ascending order, in float; blocks are combined in double by the caller.

namespace roap::cpu::ROAP_ISA {

void batch_norm_moments(const BatchNormMoments& b) {
  const std::int64_t c = b.channels;
  float* __restrict mean = b.mean;
  float* __restrict squares = b.squares;
  for (std::int64_t j = 0; j < c; ++j) mean[j] = squares[j] = 0;
  for (std::int64_t r = 0; r < b.rows; ++r) {
    const float* __restrict x = b.x + r * c;
    for (std::int64_t j = 0; j < c; ++j) mean[j] += x[j];
  }
  const float share = 1.0f / static_cast<float>(b.rows);
  for (std::int64_t j = 0; j < c; ++j) mean[j] *= share;
  for (std::int64_t r = 0; r < b.rows; ++r) {
    const float* __restrict x = b.x + r * c;
    for (std::int64_t j = 0; j < c; ++j) squares[j] += (x[j] - mean[j]) * (x[j] - mean[j]);
  }
}

void batch_norm_normalize(const BatchNormNormalize& b) {
  const std::int64_t c = b.channels;
  const float* __restrict mean = b.mean;
  const float* __restrict scale = b.scale;
  const float* __restrict beta = b.beta;
  for (std::int64_t r = 0; r < b.rows; ++r) {
    const float* __restrict x = b.x + r * c;
    float* __restrict y = b.y + r * c;
    if (b.residual != nullptr) {
      const float* __restrict residual = b.residual + r * c;
      for (std::int64_t j = 0; j < c; ++j) y[j] = (x[j] - mean[j]) * scale[j] + beta[j] + residual[j];
    } else {
      for (std::int64_t j = 0; j < c; ++j) y[j] = (x[j] - mean[j]) * scale[j] + beta[j];
    }
    if (!b.relu) continue;
    for (std::int64_t j = 0; j < c; ++j) y[j] = y[j] < 0 ? 0 : y[j];  // NaN stays NaN
  }
}

void batch_norm_sums(const BatchNormSums& b) {
  const std::int64_t c = b.channels;
  const float* __restrict mean = b.mean;
  float* __restrict sum = b.sum;
  float* __restrict deviation = b.sum_deviation;
  for (std::int64_t j = 0; j < c; ++j) sum[j] = deviation[j] = 0;
  for (std::int64_t r = 0; r < b.rows; ++r) {
    const float* __restrict dy = b.dy + r * c;
    const float* __restrict x = b.x + r * c;
    if (b.y != nullptr) {
      const float* __restrict y = b.y + r * c;
      for (std::int64_t j = 0; j < c; ++j) {
        const float g = y[j] > 0 ? dy[j] : 0;
        sum[j] += g;
        deviation[j] += g * (x[j] - mean[j]);
      }
    } else {
      for (std::int64_t j = 0; j < c; ++j) {
        sum[j] += dy[j];
        deviation[j] += dy[j] * (x[j] - mean[j]);
      }
    }
  }
}

/// One row of backward. The flags are compile-time constants of the callers below, so that the loop has no branch.
template <bool kMask, bool kKeep>
static inline void apply_row(const BatchNormApply& b, std::int64_t r) {
  const std::int64_t c = b.channels;
  const float* __restrict dy = b.dy + r * c;
  const float* __restrict y = kMask ? b.y + r * c : nullptr;
  const float* __restrict x = b.x + r * c;
  float* __restrict dx = b.dx + r * c;
  for (std::int64_t j = 0; j < c; ++j) {
    const float g = kMask && !(y[j] > 0) ? 0 : dy[j];
    const float d = g * b.scale[j] - (x[j] - b.mean[j]) * b.slope[j] - b.offset[j];
    dx[j] = kKeep ? dx[j] + d : d;
  }
}

static inline void apply_residual_row(const BatchNormApply& b, std::int64_t r) {
  const std::int64_t c = b.channels;
  const float* __restrict dy = b.dy + r * c;
  float* __restrict dresidual = b.dresidual + r * c;
  const float keep = b.accumulate_dresidual ? 1.0f : 0.0f;
  for (std::int64_t j = 0; j < c; ++j) {
    const float g = b.y != nullptr && !(b.y[r * c + j] > 0) ? 0 : dy[j];
    dresidual[j] = keep != 0 ? dresidual[j] + g : g;
  }
}

void batch_norm_apply(const BatchNormApply& b) {
  for (std::int64_t r = 0; r < b.rows; ++r) {
    if (b.dresidual != nullptr) apply_residual_row(b, r);
    if (b.dx == nullptr) continue;
    if (b.y != nullptr) {
      b.accumulate_dx ? apply_row<true, true>(b, r) : apply_row<true, false>(b, r);
    } else {
      b.accumulate_dx ? apply_row<false, true>(b, r) : apply_row<false, false>(b, r);
    }
  }
}

}  // namespace roap::cpu::ROAP_ISA
