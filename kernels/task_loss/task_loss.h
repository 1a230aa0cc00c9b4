#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

// Loss of a step. Each of the T tasks has S program samples (rows t S .. t S + S - 1 of yhat). error_ts = mean over the
// pairs of (yhat - y)^2 / sigma_t^2, and
//   gaussian: loss = mean over the tasks of mean_s error_ts + lambda mean_s length_ts
//   profiled: loss = mean over the tasks of -log mean_s 1 / (floor + error_ts) + lambda mean_s length_ts
// Profiled is the Gaussian likelihood with its variance fitted per sample; floor keeps a solved task from dominating.
// With several samples it is the importance-weighted bound of Burda et al. 2016: the samples that explain y get the
// gradient. Gradients: dyhat = dloss / T * w_ts * 2 (yhat - y) / (B sigma_t^2) with w_ts = 1 / S, or with r_ts = 1 /
// (floor + error_ts) w_ts = r_ts^2 / sum_s r_ts; dlength_ts = dloss / (T S) * lambda.

namespace roap {

enum class TaskLossKind { gaussian, profiled };

struct TaskLossParams {
  TaskLossKind kind = TaskLossKind::gaussian;
  std::int64_t samples = 1;  ///< S
};

struct TaskLossDims {
  std::int64_t tasks = 0, pairs = 0, samples = 1;
};

namespace cpu {

/// yhat [T S, B], y [T, B], sigma [T], length [T S] or null, lambda [1], floor [1] -> loss [1], error [T S]. The
/// gaussian loss does not read the floor, which may be null.
void task_loss_forward(const TaskLossDims& d, const TaskLossParams& params, const float* yhat, const float* y,
                       const float* sigma, const float* length, const float* lambda, const float* floor, float* loss,
                       float* error);
/// dloss [1], yhat [T S, B], y [T, B], sigma [T], lambda [1], floor [1], error [T S] -> dyhat [T S, B] and dlength
/// [T S]; each may be null.
void task_loss_backward(const TaskLossDims& d, const TaskLossParams& params, const float* dloss, const float* yhat,
                        const float* y, const float* sigma, const float* lambda, const float* floor, const float* error,
                        float* dyhat, float* dlength);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device; forward with one counter (kernels/common/last_block.cuh).
void task_loss_forward(const TaskLossDims& d, const TaskLossParams& params, const float* yhat, const float* y,
                       const float* sigma, const float* length, const float* lambda, const float* floor, float* loss,
                       float* error, unsigned* counter, Stream stream);
void task_loss_backward(const TaskLossDims& d, const TaskLossParams& params, const float* dloss, const float* yhat,
                        const float* y, const float* sigma, const float* lambda, const float* floor, const float* error,
                        float* dyhat, float* dlength, Stream stream);

}  // namespace cuda
}  // namespace roap
