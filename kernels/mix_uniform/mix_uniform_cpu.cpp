#include <algorithm>
#include <cmath>

#include "kernels/common/parallel.h"
#include "kernels/mix_uniform/mix_uniform.h"

// Computes: the mixture with the uniform choice and its gradient. Mapping: a piece owns kTaskGrain tasks. Memory: the
// output row is the only scratch. Numerics: f32, sums of a group in order. Not vectorised: a row of logits is mixed
// once while many samples are drawn from it.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 8;

/// p = softmax of n logits; returns log of the sum that p was divided by, the largest logit included.
float softmax(const float* logits, int n, float* p) {
  const float largest = *std::max_element(logits, logits + n);
  float total = 0;
  for (int i = 0; i < n; ++i) {
    p[i] = std::exp(logits[i] - largest);
    total += p[i];
  }
  for (int i = 0; i < n; ++i) p[i] /= total;
  return largest + std::log(total);
}

}  // namespace

void mix_uniform_forward(const MixUniformDims& d, const MixUniformParams& params, const float* logits,
                         const float* share, float* mixed) {
  const float keep = 1 - share[0];
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const float* row = logits + begin * d.logits;
    float* out = mixed + begin * d.logits;
    for (std::int64_t t = begin; t < end; ++t) {
      for (const int n : params.group_sizes) {
        const float log_total = softmax(row, n, out);
        const float uniform = share[0] / static_cast<float>(n);
        for (int i = 0; i < n; ++i) out[i] = share[0] == 0 ? row[i] - log_total : std::log(keep * out[i] + uniform);
        row += n;
        out += n;
      }
    }
  });
}

void mix_uniform_backward(const MixUniformDims& d, const MixUniformParams& params, const float* dmixed,
                          const float* logits, const float* share, float* dlogits) {
  const float keep = 1 - share[0];
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * d.logits;
    const float* dy = dmixed + first;
    const float* row = logits + first;
    float* dx = dlogits + first;
    for (std::int64_t t = begin; t < end; ++t) {
      for (const int n : params.group_sizes) {
        softmax(row, n, dx);
        const float uniform = share[0] / static_cast<float>(n);
        const auto weighted = [&](int i) {
          return share[0] == 0 ? dy[i] : dy[i] * keep * dx[i] / (keep * dx[i] + uniform);
        };
        float sum = 0;
        for (int i = 0; i < n; ++i) sum += weighted(i);
        for (int i = 0; i < n; ++i) dx[i] = weighted(i) - dx[i] * sum;
        dy += n;
        row += n;
        dx += n;
      }
    }
  });
}

}  // namespace roap::cpu
