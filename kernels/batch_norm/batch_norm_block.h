#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

// Vector code of batch_norm on one block of rows, compiled per instruction set.

namespace roap::cpu {

/// Mean and sum of squared deviations of each channel: x [rows, c] -> mean [c], squares [c].
struct BatchNormMoments {
  std::int64_t rows, channels;
  const float* x;
  float *mean, *squares;
};

/// y = (x - mean) scale + beta (+ residual), then ReLU; all per-channel values [c].
struct BatchNormNormalize {
  std::int64_t rows, channels;
  const float *x, *mean, *scale, *beta, *residual;
  bool relu;
  float* y;
};

/// Sums over the rows of g and of g (x - mean), where g = dy with the ReLU's mask (y null: no mask).
struct BatchNormSums {
  std::int64_t rows, channels;
  const float *dy, *y, *x, *mean;
  float *sum, *sum_deviation;
};

/// dx = g scale - (x - mean) slope - offset, dresidual = g; either may be null.
struct BatchNormApply {
  std::int64_t rows, channels;
  const float *dy, *y, *x, *mean, *scale, *slope, *offset;
  float *dx, *dresidual;
  bool accumulate_dx, accumulate_dresidual;
};

ROAP_ISA_DISPATCH(void, batch_norm_moments, (const BatchNormMoments& b), (b))
ROAP_ISA_DISPATCH(void, batch_norm_normalize, (const BatchNormNormalize& b), (b))
ROAP_ISA_DISPATCH(void, batch_norm_sums, (const BatchNormSums& b), (b))
ROAP_ISA_DISPATCH(void, batch_norm_apply, (const BatchNormApply& b), (b))

}  // namespace roap::cpu
