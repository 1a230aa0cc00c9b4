#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

// Vector code of adam_step: a range of weights with one learning rate.

namespace roap {

struct AdamRange {
  const float *weights, *gradients, *moment1, *moment2;
  float *new_weights, *new_moment1, *new_moment2;  ///< each may be the old one's memory
  std::int64_t count;
};

struct AdamFactors {
  float gradient;                  ///< clipping
  float keep1, add1;               ///< beta1, 1 - beta1
  float keep2, add2;               ///< beta2, 1 - beta2
  float correction1, correction2;  ///< 1 / (1 - beta^n)
  float rate, eps;
};

ROAP_ISA_DISPATCH(void, adam_range, (const AdamRange& range, const AdamFactors& f), (range, f))

}  // namespace roap
