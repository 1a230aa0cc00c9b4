#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/common/cuda_types.h"
#include "kernels/common/philox.h"

// Samples one relaxed choice per group of logits: z = softmax((logits + Gumbel) sharpness) within each group, with
// Gumbel = -log(-log(u)). Element e = task P + p takes its uniform u from word e mod 4 of philox(key, e / 4), so the
// noise is a function of the key and is regenerated, never stored. Straight-through: the forward value is the one-hot
// vector of the largest noisy logit (the first among equals) and the gradient that of the softmax. Gradient with p the
// softmax: dlogits = sharpness p (dz - sum over the group of dz p).

namespace roap {

struct GumbelSoftmaxParams {
  std::vector<int> group_sizes{};  ///< in the order of the row; their sum is P
  bool noise = true;
  bool straight_through = false;
};

struct GumbelSoftmaxDims {
  std::int64_t tasks = 0, logits = 0;
};

/// The RandomKey that travels as a tensor u32 [4].
ROAP_HOST_DEVICE inline RandomKey random_key_of(const std::uint32_t* words) {
  return {words[0], words[1], words[2], words[3]};
}

namespace cpu {

/// Scratch memory in bytes of either direction, to be passed 64-byte aligned as `workspace`.
std::size_t gumbel_softmax_workspace(const GumbelSoftmaxDims& d);

/// logits [T, P], sharpness [1], key [4] -> z [T, P].
void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* logits,
                            const float* sharpness, const std::uint32_t* key, float* z, std::byte* workspace);
/// dz [T, P], logits [T, P], sharpness [1], key [4], z [T, P] -> dlogits [T, P]. Straight-through reads logits and key
/// (z may be null), the relaxed sample reads z (logits and key may be null).
void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* dz,
                             const float* logits, const float* sharpness, const std::uint32_t* key, const float* z,
                             float* dlogits, std::byte* workspace);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device; offsets [groups + 1]: where each group begins in a row, then P.
void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* logits,
                            const float* sharpness, const std::uint32_t* key, float* z, const int* offsets,
                            Stream stream);
void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* dz,
                             const float* logits, const float* sharpness, const std::uint32_t* key, const float* z,
                             float* dlogits, const int* offsets, Stream stream);

}  // namespace cuda
}  // namespace roap
