#include "kernels/common/last_block.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/task_loss/task_loss.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;

/// Sum over the samples of a task of 1 / (floor + error).
__device__ __forceinline__ double likelihood_sum(std::int64_t samples, double floor, const float* errors) {
  double sum = 0;
  for (std::int64_t s = 0; s < samples; ++s) sum += 1 / (floor + __ldcg(errors + s));
  return sum;
}

/// What task t adds to the loss, times the number of tasks. length and floor may be null (task_loss.h).
__device__ double loss_of_task(const TaskLossDims& d, bool profiled, std::int64_t t, const float* length,
                               const float* lambda, const float* floor, const float* error) {
  const double samples = static_cast<double>(d.samples);
  const float* errors = error + t * d.samples;
  double sum = 0;
  if (profiled) {
    sum = -log(likelihood_sum(d.samples, floor[0], errors) / samples);
  } else {
    for (std::int64_t s = 0; s < d.samples; ++s) sum += __ldcg(errors + s) / samples;
  }
  for (std::int64_t s = 0; length != nullptr && s < d.samples; ++s) {
    sum += static_cast<double>(lambda[0]) * length[t * d.samples + s] / samples;
  }
  return sum;
}

/// Computes  error of every row, and the loss (task_loss.h)
/// Shapes    yhat [T S, B], y [T, B], sigma [T], length [T S] or null, lambda and floor [1], loss [1], error [T S],
///           counter [1]
/// Mapping   a block owns a row, the last block the loss, of which a thread adds every 128th task
/// Memory    yhat and y once
/// Numerics  f64 sums in a fixed tree
/// Limits    fewer than 2^31 rows
__global__ void __launch_bounds__(kThreads)
    task_loss_forward_kernel(TaskLossDims d, bool profiled, const float* yhat, const float* y, const float* sigma,
                             const float* length, const float* lambda, const float* floor, float* loss, float* error,
                             unsigned* counter) {
  const std::int64_t row = blockIdx.x, task = row / d.samples;
  const float *predictions = yhat + row * d.pairs, *targets = y + task * d.pairs;
  double sum = 0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < d.pairs; i += kThreads) {
    const double difference = static_cast<double>(predictions[i]) - targets[i];
    sum += difference * difference;
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    const double deviation = sigma[task];
    error[row] = static_cast<float>(sum / (static_cast<double>(d.pairs) * deviation * deviation));
  }
  if (!is_last_block(counter, gridDim.x)) return;
  double total = 0;
  for (std::int64_t t = threadIdx.x; t < d.tasks; t += kThreads) {
    total += loss_of_task(d, profiled, t, length, lambda, floor, error);
  }
  total = block_sum<kThreads>(total);
  if (threadIdx.x == 0) loss[0] = static_cast<float>(total / static_cast<double>(d.tasks));
}

/// Computes  dyhat and dlength (task_loss.h); either may be null
/// Shapes    dloss [1], yhat and dyhat [T S, B], y [T, B], sigma [T], lambda and floor [1], error and dlength [T S]
/// Mapping   a block owns a row
/// Memory    yhat, y and dyhat once
/// Numerics  the row's factor in f64, then f32
/// Limits    fewer than 2^31 rows
__global__ void __launch_bounds__(kThreads)
    task_loss_backward_kernel(TaskLossDims d, bool profiled, const float* dloss, const float* yhat, const float* y,
                              const float* sigma, const float* lambda, const float* floor, const float* error,
                              float* dyhat, float* dlength) {
  ROAP_SHARED(scale, float);
  const std::int64_t row = blockIdx.x, task = row / d.samples;
  if (threadIdx.x == 0) {
    const double share = dloss[0] / static_cast<double>(d.tasks), samples = static_cast<double>(d.samples);
    const double deviation = sigma[task];
    double weight = 1 / samples;
    if (profiled) {
      const double likelihood = 1 / (static_cast<double>(floor[0]) + error[row]);
      weight = likelihood * likelihood / likelihood_sum(d.samples, floor[0], error + task * d.samples);
    }
    scale = static_cast<float>(share * weight * 2 / (static_cast<double>(d.pairs) * deviation * deviation));
    if (dlength != nullptr) dlength[row] = static_cast<float>(share * lambda[0] / samples);
  }
  __syncthreads();
  if (dyhat == nullptr) return;
  const float factor = scale;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < d.pairs; i += kThreads) {
    dyhat[row * d.pairs + i] = factor * (yhat[row * d.pairs + i] - y[task * d.pairs + i]);
  }
}

unsigned rows_of(const TaskLossDims& d) { return static_cast<unsigned>(d.tasks * d.samples); }

}  // namespace

void task_loss_forward(const TaskLossDims& d, const TaskLossParams& params, const float* yhat, const float* y,
                       const float* sigma, const float* length, const float* lambda, const float* floor, float* loss,
                       float* error, unsigned* counter, Stream stream) {
  launch("task_loss_forward", {.grid = rows_of(d), .block = kThreads}, stream, task_loss_forward_kernel, d,
         params.kind == TaskLossKind::profiled, yhat, y, sigma, length, lambda, floor, loss, error, counter);
}

void task_loss_backward(const TaskLossDims& d, const TaskLossParams& params, const float* dloss, const float* yhat,
                        const float* y, const float* sigma, const float* lambda, const float* floor, const float* error,
                        float* dyhat, float* dlength, Stream stream) {
  launch("task_loss_backward", {.grid = rows_of(d), .block = kThreads}, stream, task_loss_backward_kernel, d,
         params.kind == TaskLossKind::profiled, dloss, yhat, y, sigma, lambda, floor, error, dyhat, dlength);
}

}  // namespace roap::cuda
