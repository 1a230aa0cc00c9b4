#pragma once

#include "kernels/common/isa.h"
#include "kernels/common/philox.h"

// Vector code of gumbel_softmax, one row at a time.

namespace roap {

struct NoisyRow {
  const float* logits;  ///< [count]
  std::int64_t count;
  float sharpness;
  bool noise;
  RandomKey key;
  std::uint64_t first_element;  ///< index of logits[0] in the whole tensor
};

ROAP_ISA_DISPATCH(void, noisy_logits_row, (const NoisyRow& row, float* noisy), (row, noisy))
ROAP_ISA_DISPATCH(void, softmax_groups, (const int* group_sizes, std::int64_t groups, float* values),
                  (group_sizes, groups, values))

}  // namespace roap
