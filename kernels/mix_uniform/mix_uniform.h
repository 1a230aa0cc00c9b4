#pragma once

#include <cstdint>
#include <vector>

#include "kernels/common/cuda_types.h"

// Mixes the choice that a group of logits stands for with the uniform one, so that no alternative ever becomes too
// rare to be sampled: with p = softmax(logits) of a group of n and the share e of the uniform choice,
//   mixed = log((1 - e) p + e / n).
// e = 0 gives log p, logits of the same choice. Gradient: dlogits = p (g - sum over the group of g p) with
// g = dmixed (1 - e) / ((1 - e) p + e / n).

namespace roap {

struct MixUniformParams {
  std::vector<int> group_sizes{};  ///< in the order of the row; their sum is P
};

struct MixUniformDims {
  std::int64_t tasks = 0, logits = 0;
};

namespace cpu {

/// logits [T, P], share [1] in [0, 1) -> mixed [T, P].
void mix_uniform_forward(const MixUniformDims& d, const MixUniformParams& params, const float* logits,
                         const float* share, float* mixed);
/// dmixed, logits [T, P], share [1] -> dlogits [T, P].
void mix_uniform_backward(const MixUniformDims& d, const MixUniformParams& params, const float* dmixed,
                          const float* logits, const float* share, float* dlogits);

}  // namespace cpu
}  // namespace roap
