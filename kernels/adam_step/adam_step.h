#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// One step of Adam (Kingma and Ba 2015, in PyTorch's form) over all weights, two learning rates:
//   g = scale gradient, with scale = min(1, clip / norm) when clipping;  n = step + 1
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = w - rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + eps);  step = n
// A step whose guard says "not finite" changes nothing, the count included.

namespace roap {

struct AdamParams {
  std::int64_t boundary = 0;  ///< elements before it use rates[0], the others rates[1]
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-5;
  double clip = 0;  ///< largest norm of all gradients; 0: no clipping
};

struct AdamInputs {
  const float* weights;    ///< [N]
  const float* gradients;  ///< [N]
  const float* moment1;    ///< [N]
  const float* moment2;    ///< [N]
  const float* step;       ///< [1], updates applied so far
  const float* guard;      ///< [2], finite and norm (gradient_guard)
  const float* rates;      ///< [2]
};

struct AdamOutputs {
  float* weights;  ///< each may be the input's own memory
  float* moment1;
  float* moment2;
  float* step;
};

namespace cpu {

void adam_step(std::int64_t count, const AdamParams& params, const AdamInputs& in, const AdamOutputs& out);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device; with one counter (kernels/common/last_block.cuh).
void adam_step(std::int64_t count, const AdamParams& params, const AdamInputs& in, const AdamOutputs& out,
               unsigned* counter, Stream stream);

}  // namespace cuda
}  // namespace roap
