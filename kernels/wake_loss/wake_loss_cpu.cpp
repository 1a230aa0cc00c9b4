#include "kernels/wake_loss/wake_loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/parallel.h"

// Computes: the loss and its gradient. Mapping: a piece owns kTaskGrain tasks. Memory: reads the samples once. Numerics: sums
// over samples and tasks in double, in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 8;

/// Sum over the samples of 1 / (floor + error).
double weight_sum(const WakeLossDims& d, const WakeLossParams& params, const float* errors) {
  double sum = 0;
  for (std::int64_t s = 0; s < d.samples; ++s) sum += 1 / (params.floor + errors[s]);
  return sum;
}

double log_sum_exp(const float* logits, int size) {
  const float largest = *std::max_element(logits, logits + size);
  double sum = 0;
  for (int i = 0; i < size; ++i) sum += std::exp(double{logits[i]} - largest);
  return largest + std::log(sum);
}

}  // namespace

void wake_loss_forward(const WakeLossDims& d, const WakeLossParams& params, const float* base, const float* logits,
                       const float* z, const float* error, double* partial, float* total) {
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* errors = error + t * d.samples;
      const double weights = weight_sum(d, params, errors);
      double chosen = 0;  // weighted sum of the chosen logits
      for (std::int64_t s = 0; s < d.samples; ++s) {
        const float* row = logits + t * d.logits;
        const float* sample = z + (t * d.samples + s) * d.logits;
        double sum = 0;
        for (const int size : params.group_sizes) {
          sum += row[std::max_element(sample, sample + size) - sample];
          row += size;
          sample += size;
        }
        chosen += sum / (params.floor + errors[s]) / weights;
      }
      const float* row = logits + t * d.logits;
      partial[t] = -chosen;
      for (const int size : params.group_sizes) {
        partial[t] += log_sum_exp(row, size);
        row += size;
      }
    }
  });
  double sum = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) sum += partial[t];
  total[0] = static_cast<float>(base[0] + params.weight * sum / static_cast<double>(d.tasks));
}

void wake_loss_backward(const WakeLossDims& d, const WakeLossParams& params, const float* dtotal, const float* logits,
                        const float* z, const float* error, float* dbase, float* dlogits) {
  if (dbase != nullptr) dbase[0] = dtotal[0];
  if (dlogits == nullptr) return;
  const double share = dtotal[0] * params.weight / static_cast<double>(d.tasks);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* row = dlogits + t * d.logits;
      const float* x = logits + t * d.logits;
      std::int64_t first = 0;
      for (const int size : params.group_sizes) {
        const double log_sum = log_sum_exp(x + first, size);
        for (int i = 0; i < size; ++i) row[first + i] = static_cast<float>(share * std::exp(x[first + i] - log_sum));
        first += size;
      }
      const float* errors = error + t * d.samples;
      const double weights = weight_sum(d, params, errors);
      for (std::int64_t s = 0; s < d.samples; ++s) {
        const float* sample = z + (t * d.samples + s) * d.logits;
        const float gain = static_cast<float>(share / (params.floor + errors[s]) / weights);
        first = 0;
        for (const int size : params.group_sizes) {
          row[std::max_element(sample + first, sample + first + size) - sample] -= gain;
          first += size;
        }
      }
    }
  });
}

}  // namespace roap::cpu
