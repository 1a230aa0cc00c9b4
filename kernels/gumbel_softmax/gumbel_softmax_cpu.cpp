#include "kernels/common/parallel.h"
#include "kernels/gumbel_softmax/gumbel_softmax.h"
#include "kernels/gumbel_softmax/gumbel_softmax_isa.h"

// Computes: ragged Gumbel-softmax and its gradient. Mapping: a piece owns kTaskGrain rows. Memory: the output row is
// the only scratch. Numerics: f32; logarithm and exponential of our own within 2 ulp; sums of a group in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 8;

/// Replaces every group by the one-hot vector of its first largest value.
void one_hot_groups(const GumbelSoftmaxParams& params, float* values) {
  for (const int size : params.group_sizes) {
    const float* winner = std::max_element(values, values + size);
    const std::int64_t index = winner - values;
    std::fill_n(values, size, 0.0f);
    values[index] = 1.0f;
    values += size;
  }
}

void noisy_logits(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, std::int64_t task, const float* logits,
                  float sharpness, const std::uint32_t* key, float* noisy) {
  const std::int64_t first = task * d.logits;
  noisy_logits_row(
      {logits + first, d.logits, sharpness, params.noise, random_key_of(key), static_cast<std::uint64_t>(first)},
      noisy);
}

void softmax(const GumbelSoftmaxParams& params, float* values) {
  softmax_groups(params.group_sizes.data(), static_cast<std::int64_t>(params.group_sizes.size()), values);
}

/// p and dlogits may be the same memory.
void backward_row(const GumbelSoftmaxParams& params, const float* dz, const float* p, float sharpness, float* dlogits) {
  for (const int size : params.group_sizes) {
    float dot = 0;
    for (int i = 0; i < size; ++i) dot += dz[i] * p[i];
    for (int i = 0; i < size; ++i) dlogits[i] = sharpness * p[i] * (dz[i] - dot);
    dz += size;
    p += size;
    dlogits += size;
  }
}

}  // namespace

void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* logits,
                            const float* sharpness, const std::uint32_t* key, float* z) {
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* row = z + t * d.logits;
      noisy_logits(d, params, t, logits, sharpness[0], key, row);
      if (params.straight_through) {
        one_hot_groups(params, row);
      } else {
        softmax(params, row);
      }
    }
  });
}

void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* dz,
                             const float* logits, const float* sharpness, const std::uint32_t* key, const float* z,
                             float* dlogits) {
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* row = dlogits + t * d.logits;
      const float* p = row;
      if (params.straight_through) {
        noisy_logits(d, params, t, logits, sharpness[0], key, row);
        softmax(params, row);
      } else {
        p = z + t * d.logits;
      }
      backward_row(params, dz + t * d.logits, p, sharpness[0], row);
    }
  });
}

}  // namespace roap::cpu
