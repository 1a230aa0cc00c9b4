#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/cuda_types.h"

// Batch normalisation over the rows of an image batch [n, h, w, c] seen as [rows, c], with the addition of a residual
// and the ReLU of a residual network fused in:
//   y = relu?( (x - mean[c]) / sqrt(variance[c] + eps) * gamma[c] + beta[c] + residual )
// Train: mean and (biased) variance of the batch. Gradients, with g = dy where y > 0 (without ReLU: dy), r = 1 /
// sqrt(variance
// + eps) and xhat = (x - mean) r:
//   dbeta = sum g;  dgamma = sum g xhat;  dx = gamma r (g - dbeta / rows - xhat dgamma / rows);  dresidual = g.

namespace roap {

struct BatchNormParams {
  bool relu = false;
  double eps = 1e-5;
};

struct BatchNormDims {
  std::int64_t rows = 0, channels = 0;
};

/// The rows are cut into blocks of about 32 KB that are read twice from the cache; one partial result per block.
struct BatchNormBlocks {
  std::int64_t rows_per_block = 0, count = 0;
};
BatchNormBlocks batch_norm_blocks(const BatchNormDims& d);

struct BatchNormUpdateParams {
  std::vector<std::int64_t> counts;  ///< by layer: values per channel in the batch (n h w), for the unbiased variance
  double momentum = 0.1;
};

/// Statistics of a batch and running ones of a layer, all [channels]; new_* may be running_*.
template <class Real>
struct BatchNormRunning {
  std::int64_t channels = 0, count = 0;
  const Real *mean = nullptr, *variance = nullptr, *running_mean = nullptr, *running_variance = nullptr;
  Real *new_mean = nullptr, *new_variance = nullptr;
};

namespace cpu {

/// Scratch memory of forward, eval and backward, in bytes.
std::size_t batch_norm_workspace_bytes(const BatchNormDims& d);

/// x [rows, c] -> mean [c], variance [c].
void batch_norm_statistics(const BatchNormDims& d, const float* x, float* mean, float* variance, std::byte* workspace);
/// x [rows, c], gamma [c], beta [c], residual [rows, c] or null -> y [rows, c], mean [c], variance [c].
void batch_norm_forward(const BatchNormDims& d, const BatchNormParams& params, const float* x, const float* gamma,
                        const float* beta, const float* residual, float* y, float* mean, float* variance,
                        std::byte* workspace);
/// The same with given mean and variance.
void batch_norm_eval(const BatchNormDims& d, const BatchNormParams& params, const float* x, const float* gamma,
                     const float* beta, const float* mean, const float* variance, const float* residual, float* y,
                     std::byte* workspace);

/// What backward writes; null: nobody wants it. dx and dresidual are added to where accumulate_* says so.
struct BatchNormGradients {
  float *dx = nullptr, *dgamma = nullptr, *dbeta = nullptr, *dresidual = nullptr;
  bool accumulate_dx = false, accumulate_dresidual = false;
};
/// dy, x [rows, c]; y [rows, c] (null without ReLU); gamma, mean, variance [c].
void batch_norm_backward(const BatchNormDims& d, const BatchNormParams& params, const float* dy, const float* y,
                         const float* x, const float* gamma, const float* mean, const float* variance,
                         const BatchNormGradients& gradients, std::byte* workspace);

/// new_* = (1 - momentum) running_* + momentum batch, as PyTorch does (unbiased variance), where guard[0] != 0; else
/// running_*. guard [2].
void batch_norm_update(double momentum, const float* guard, const BatchNormRunning<float>& layer);

}  // namespace cpu

// On the device x, y, residual and their gradients are float or Bf16 (T), all else float.
namespace cuda {

/// Scratch memory of forward and backward, in bytes, and counters (kernels/common/last_block.cuh); T decides how blocks
/// are cut.
template <class T>
std::size_t batch_norm_workspace_bytes(const BatchNormDims& d);
template <class T>
std::size_t batch_norm_counters(const BatchNormDims& d);

struct BatchNormScratch {
  std::byte* workspace = nullptr;
  unsigned* counters = nullptr;
};

/// As in cpu.
template <class T>
void batch_norm_statistics(const BatchNormDims& d, const T* x, float* mean, float* variance,
                           const BatchNormScratch& scratch, Stream stream);
template <class T>
void batch_norm_forward(const BatchNormDims& d, const BatchNormParams& params, const T* x, const float* gamma,
                        const float* beta, const T* residual, T* y, float* mean, float* variance,
                        const BatchNormScratch& scratch, Stream stream);
template <class T>
void batch_norm_eval(const BatchNormDims& d, const BatchNormParams& params, const T* x, const float* gamma,
                     const float* beta, const float* mean, const float* variance, const T* residual, T* y,
                     Stream stream);

/// Mean and variance [c] from those of parts of the rows: moments [parts, c, 2], mean and sum of squared deviations;
/// part_rows [parts], the number of rows, in the first part not 0.
void batch_norm_combine(const BatchNormDims& d, int parts, const float* moments, const float* part_rows, float* mean,
                        float* variance, Stream stream);

template <class T>
struct BatchNormGradients {
  T* dx = nullptr;
  float *dgamma = nullptr, *dbeta = nullptr;
  T* dresidual = nullptr;
  bool accumulate_dx = false, accumulate_dresidual = false;
};
template <class T>
void batch_norm_backward(const BatchNormDims& d, const BatchNormParams& params, const T* dy, const T* y, const T* x,
                         const float* gamma, const float* mean, const float* variance,
                         const BatchNormGradients<T>& gradients, const BatchNormScratch& scratch, Stream stream);

/// The same for many layers.
void batch_norm_update(double momentum, const float* guard, std::span<const BatchNormRunning<float>> layers,
                       Stream stream);

}  // namespace cuda
}  // namespace roap
