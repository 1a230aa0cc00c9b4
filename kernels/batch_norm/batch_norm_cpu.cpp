#include <algorithm>
#include <cmath>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/batch_norm/batch_norm_block.h"
#include "kernels/common/parallel.h"

// Mapping: a piece owns one block of rows, for sums and for results alike.
// Numerics: a block's mean and squared deviations in float; blocks are combined in double, ascending, with the pairwise
//   formula of Chan et al. 1979, which stays accurate when the mean is large against the deviation.

namespace roap {

BatchNormBlocks batch_norm_blocks(const BatchNormDims& d) {
  constexpr std::int64_t kBlockElements = 8192;
  const std::int64_t rows = std::max<std::int64_t>(1, kBlockElements / d.channels);
  return {rows, pieces_of(d.rows, rows)};
}

namespace cpu {

namespace {

/// Two partial sums per block and channel, then three derived values per channel.
struct Workspace {
  float *first, *second, *scale, *slope, *offset;
};

Workspace split(const BatchNormDims& d, std::byte* workspace) {
  const std::int64_t c = d.channels;
  const std::int64_t partials = batch_norm_blocks(d).count * c;
  float* base = reinterpret_cast<float*>(workspace);
  float* derived = base + 2 * partials;
  return {base, base + partials, derived, derived + c, derived + 2 * c};
}

/// Calls body(block, first row, rows) for every block, in parallel.
template <class Body>
void for_each_block(const BatchNormDims& d, Body&& body) {
  const std::int64_t rows = batch_norm_blocks(d).rows_per_block;
  parallel_ranges(d.rows, rows, [&](std::int64_t begin, std::int64_t end) { body(begin / rows, begin, end - begin); });
}

template <class Body>
void for_each_channel(const BatchNormDims& d, Body&& body) {
  constexpr std::int64_t kGrain = 16;
  parallel_ranges(d.channels, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j) body(j);
  });
}

double reciprocal_deviation(float variance, double eps) { return 1 / std::sqrt(static_cast<double>(variance) + eps); }

void combine_moments(const BatchNormDims& d, const Workspace& w, std::int64_t j, float* mean, float* variance) {
  const BatchNormBlocks blocks = batch_norm_blocks(d);
  double count = 0;
  double total_mean = 0;
  double squares = 0;
  for (std::int64_t k = 0; k < blocks.count; ++k) {
    const auto rows = static_cast<double>(std::min(blocks.rows_per_block, d.rows - k * blocks.rows_per_block));
    const double delta = static_cast<double>(w.first[k * d.channels + j]) - total_mean;
    squares += static_cast<double>(w.second[k * d.channels + j]) + delta * delta * count * rows / (count + rows);
    total_mean += delta * rows / (count + rows);
    count += rows;
  }
  mean[j] = static_cast<float>(total_mean);
  variance[j] = static_cast<float>(squares / count);
}

void normalize(const BatchNormDims& d, const BatchNormParams& params, const float* x, const float* mean,
               const float* scale, const float* beta, const float* residual, float* y) {
  for_each_block(d, [&](std::int64_t /*block*/, std::int64_t row, std::int64_t rows) {
    const std::int64_t at = row * d.channels;
    batch_norm_normalize({rows, d.channels, x + at, mean, scale, beta, residual != nullptr ? residual + at : nullptr,
                          params.relu, y + at});
  });
}

}  // namespace

std::size_t batch_norm_workspace_bytes(const BatchNormDims& d) {
  return static_cast<std::size_t>((2 * batch_norm_blocks(d).count + 3) * d.channels) * sizeof(float);
}

void batch_norm_statistics(const BatchNormDims& d, const float* x, float* mean, float* variance, std::byte* workspace) {
  const Workspace w = split(d, workspace);
  for_each_block(d, [&](std::int64_t block, std::int64_t row, std::int64_t rows) {
    const std::int64_t at = block * d.channels;
    batch_norm_moments({rows, d.channels, x + row * d.channels, w.first + at, w.second + at});
  });
  for_each_channel(d, [&](std::int64_t j) { combine_moments(d, w, j, mean, variance); });
}

void batch_norm_forward(const BatchNormDims& d, const BatchNormParams& params, const float* x, const float* gamma,
                        const float* beta, const float* residual, float* y, float* mean, float* variance,
                        std::byte* workspace) {
  batch_norm_statistics(d, x, mean, variance, workspace);
  batch_norm_eval(d, params, x, gamma, beta, mean, variance, residual, y, workspace);
}

void batch_norm_eval(const BatchNormDims& d, const BatchNormParams& params, const float* x, const float* gamma,
                     const float* beta, const float* mean, const float* variance, const float* residual, float* y,
                     std::byte* workspace) {
  const Workspace w = split(d, workspace);
  for_each_channel(d, [&](std::int64_t j) {
    w.scale[j] = static_cast<float>(gamma[j] * reciprocal_deviation(variance[j], params.eps));
  });
  normalize(d, params, x, mean, w.scale, beta, residual, y);
}

void batch_norm_backward(const BatchNormDims& d, const BatchNormParams& params, const float* dy, const float* y,
                         const float* x, const float* gamma, const float* mean, const float* variance,
                         const BatchNormGradients& g, std::byte* workspace) {
  const Workspace w = split(d, workspace);
  const std::int64_t c = d.channels;
  const auto at_row = [c](const float* values, std::int64_t row) {
    return values != nullptr ? values + row * c : nullptr;
  };
  for_each_block(d, [&](std::int64_t block, std::int64_t row, std::int64_t rows) {
    batch_norm_sums(
        {rows, c, dy + row * c, at_row(y, row), x + row * c, mean, w.first + block * c, w.second + block * c});
  });
  for_each_channel(d, [&](std::int64_t j) {
    double sum = 0;
    double sum_deviation = 0;
    for (std::int64_t k = 0; k < batch_norm_blocks(d).count; ++k) {
      sum += w.first[k * c + j];
      sum_deviation += w.second[k * c + j];
    }
    const double r = reciprocal_deviation(variance[j], params.eps);
    const double scale = gamma[j] * r;
    const auto rows = static_cast<double>(d.rows);
    w.scale[j] = static_cast<float>(scale);
    w.slope[j] = static_cast<float>(scale * r * r * sum_deviation / rows);
    w.offset[j] = static_cast<float>(scale * sum / rows);
    if (g.dgamma != nullptr) g.dgamma[j] = static_cast<float>(sum_deviation * r);
    if (g.dbeta != nullptr) g.dbeta[j] = static_cast<float>(sum);
  });
  if (g.dx == nullptr && g.dresidual == nullptr) return;
  for_each_block(d, [&](std::int64_t /*block*/, std::int64_t row, std::int64_t rows) {
    batch_norm_apply({rows, c, dy + row * c, at_row(y, row), x + row * c, mean, w.scale, w.slope, w.offset,
                      g.dx != nullptr ? g.dx + row * c : nullptr,
                      g.dresidual != nullptr ? g.dresidual + row * c : nullptr, g.accumulate_dx,
                      g.accumulate_dresidual});
  });
}

void batch_norm_update(double momentum, const float* guard, const BatchNormRunning<float>& layer) {
  const auto count = static_cast<double>(layer.count);
  const double unbiased = count / std::max(1.0, count - 1);
  const bool finite = guard[0] != 0;
  for (std::int64_t j = 0; j < layer.channels; ++j) {
    const float mean = layer.running_mean[j], variance = layer.running_variance[j];
    const double moved_mean = (1 - momentum) * mean + momentum * layer.mean[j];
    const double moved_variance = (1 - momentum) * variance + momentum * unbiased * layer.variance[j];
    layer.new_mean[j] = finite ? static_cast<float>(moved_mean) : mean;
    layer.new_variance[j] = finite ? static_cast<float>(moved_variance) : variance;
  }
}

}  // namespace cpu
}  // namespace roap
