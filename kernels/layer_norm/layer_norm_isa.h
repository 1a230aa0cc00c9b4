#pragma once

#include "kernels/common/isa.h"
#include "kernels/layer_norm/layer_norm.h"

namespace roap::cpu {

/// Pointers of one range of rows of the backward pass; dx may be null.
struct LayerNormBackwardRows {
  const float *dy, *y, *x, *gamma, *mean, *rstd;
  float* dx;
  bool accumulate;
  float *dgamma, *dbeta;  ///< [columns], added to
};

ROAP_ISA_DISPATCH(void, layer_norm_forward_rows,
                  (const LayerNormDims& d, std::int64_t begin, std::int64_t end, const float* x, const float* gamma,
                   const float* beta, float* y, float* mean, float* rstd),
                  (d, begin, end, x, gamma, beta, y, mean, rstd))
ROAP_ISA_DISPATCH(void, layer_norm_backward_rows,
                  (const LayerNormDims& d, std::int64_t begin, std::int64_t end, const LayerNormBackwardRows& rows),
                  (d, begin, end, rows))

}  // namespace roap::cpu
