#include <cmath>
#include <numeric>

#include "kernels/common/parallel.h"
#include "kernels/task_loss/task_loss.h"

// Computes: the loss and its gradient. Mapping: a piece owns kTaskGrain tasks. Memory: reads yhat and y once. Numerics:
// sums in double, in order, so that thousands of tasks of very different error add up exactly enough.

namespace roap::cpu {

namespace {
constexpr std::int64_t kTaskGrain = 32;
constexpr std::int64_t kRowGrain = 32;

/// Sum over the samples of a task of 1 / (floor + error).
double likelihood_sum(const TaskLossDims& d, double floor, const float* errors) {
  double sum = 0;
  for (std::int64_t s = 0; s < d.samples; ++s) sum += 1 / (floor + errors[s]);
  return sum;
}

}  // namespace

void task_loss_forward(const TaskLossDims& d, const TaskLossParams& params, const float* yhat, const float* y,
                       const float* sigma, const float* length, const float* lambda, const float* floor, float* loss,
                       float* error) {
  parallel_ranges(d.tasks * d.samples, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t t = row / d.samples;
      const float* target = y + t * d.pairs;
      double sum = 0;
      for (std::int64_t i = 0; i < d.pairs; ++i) {
        const double difference = double{yhat[row * d.pairs + i]} - double{target[i]};
        sum += difference * difference;
      }
      error[row] = static_cast<float>(sum / (static_cast<double>(d.pairs) * sigma[t] * sigma[t]));
    }
  });
  const double samples = static_cast<double>(d.samples);
  double total = 0;
  for (std::int64_t t = 0; t < d.tasks; ++t) {
    const float* errors = error + t * d.samples;
    total += params.kind == TaskLossKind::profiled ? -std::log(likelihood_sum(d, floor[0], errors) / samples)
                                                   : std::accumulate(errors, errors + d.samples, 0.0) / samples;
    for (std::int64_t s = 0; length != nullptr && s < d.samples; ++s) {
      total += double{lambda[0]} * length[t * d.samples + s] / samples;
    }
  }
  loss[0] = static_cast<float>(total / static_cast<double>(d.tasks));
}

void task_loss_backward(const TaskLossDims& d, const TaskLossParams& params, const float* dloss, const float* yhat,
                        const float* y, const float* sigma, const float* lambda, const float* floor, const float* error,
                        float* dyhat, float* dlength) {
  const bool profiled = params.kind == TaskLossKind::profiled;
  const double share = double{dloss[0]} / static_cast<double>(d.tasks);
  const double samples = static_cast<double>(d.samples);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const double likelihoods = profiled ? likelihood_sum(d, floor[0], error + t * d.samples) : 1;
      for (std::int64_t row = t * d.samples; row < (t + 1) * d.samples; ++row) {
        if (dlength != nullptr) dlength[row] = static_cast<float>(share * lambda[0] / samples);
        if (dyhat == nullptr) continue;
        const double likelihood = profiled ? 1 / (double{floor[0]} + error[row]) : 1;
        const double weight = profiled ? likelihood * likelihood / likelihoods : 1 / samples;
        const float scale =
            static_cast<float>(share * weight * 2 / (static_cast<double>(d.pairs) * sigma[t] * sigma[t]));
        for (std::int64_t i = 0; i < d.pairs; ++i) {
          dyhat[row * d.pairs + i] = scale * (yhat[row * d.pairs + i] - y[t * d.pairs + i]);
        }
      }
    }
  });
}

}  // namespace roap::cpu
