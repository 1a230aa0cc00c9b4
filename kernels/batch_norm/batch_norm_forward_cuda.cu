#include <algorithm>
#include <limits>

#include "kernels/batch_norm/batch_norm_tiles.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = kBatchNormThreads;

/// Mean and sum of squared deviations of a channel over the rows of one block: partials [row blocks, channels].
using Moments = float2;

/// Combines the blocks' moments of this slab (Chan et al. 1979), in double and relative to the first block's mean,
/// which keeps the sums as accurate as the formula for pairs and needs one pass. rows_of(block) is a double.
template <class RowsOf>
__device__ void combine_moments(const BatchNormTiles& t, const Moments* partials, const RowsOf& rows_of, float* mean,
                                float* variance) {
  const int channel = static_cast<int>(blockIdx.y) * t.slab + static_cast<int>(threadIdx.x) % t.slab;
  const Moments* own = partials + min(channel, t.channels - 1);
  const double pivot = __ldcg(own).x;
  const double2 sums = batch_norm_sum_row_blocks(t, [&](int block) {
    const Moments m = __ldcg(own + static_cast<std::int64_t>(block) * t.channels);
    const double rows = rows_of(block), delta = m.x - pivot;
    return make_double2(rows * delta, m.y + rows * delta * delta);
  });
  if (static_cast<int>(threadIdx.x) >= t.slab || channel >= t.channels) return;
  const double rows = static_cast<double>(t.rows);
  const double delta = sums.x / rows;
  mean[channel] = static_cast<float>(pivot + delta);
  variance[channel] = static_cast<float>(max(sums.y / rows - delta * delta, 0.0));
}

/// Computes  mean and (biased) variance of every channel
/// Shapes    x [rows, c], partials [row blocks, c], counters [slabs], mean and variance [c]
/// Mapping   batch_norm_tiles.cuh; the last block of a slab combines the partial results
/// Memory    x once
/// Numerics  f32 sums of deviations from the block's first row, which is never far from the mean compared with the
///           deviations of a block that contains it; blocks are combined in double, in order
/// Limits    fewer than 2^31 channels
template <class T, bool kVectors>
__global__ void __launch_bounds__(kThreads)
    batch_norm_moments_kernel(BatchNormTiles t, const T* x, Moments* partials, unsigned* counters, float* mean,
                              float* variance) {
  constexpr int kCount = kVectorSize<T>;
  ROAP_SHARED(pivots, float[kBatchNormSlab]);
  const BatchNormPlace place = batch_norm_place<T>(t);
  const std::int64_t begin = blockIdx.x * t.rows_per_block;
  float pivot[kCount] = {}, sum[kCount] = {}, squares[kCount] = {};
  if (place.count > 0) {
    const T* column = x + place.channel;
    to_floats(load_elements<kVectors>(column + begin * t.channels, place.count), pivot);
#pragma unroll 4
    for (std::int64_t r = place.first_row; r < place.last_row; r += place.rows_at_once) {
      float values[kCount];
      to_floats(load_elements<kVectors>(column + r * t.channels, place.count), values);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const float deviation = values[i] - pivot[i];
        sum[i] += deviation;
        squares[i] += deviation * deviation;
      }
    }
  }
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (thread < t.lanes) pivots[thread * kCount + i] = pivot[i];
  }
  const float2 sums = batch_norm_block_sums(t, sum, squares);
  const int channel = static_cast<int>(blockIdx.y) * t.slab + thread;
  if (thread < t.slab && channel < t.channels) {
    const float rows = static_cast<float>(place.last_row - begin);
    partials[static_cast<std::int64_t>(blockIdx.x) * t.channels + channel] =
        make_float2(pivots[thread] + sums.x / rows, max(sums.y - sums.x * (sums.x / rows), 0.0f));
  }
  if (!is_last_block(counters + blockIdx.y, gridDim.x)) return;
  const auto rows_of = [&](int block) {
    return static_cast<double>(min(t.rows_per_block, t.rows - block * t.rows_per_block));
  };
  combine_moments(t, partials, rows_of, mean, variance);
}

/// Computes  mean and variance of every channel from those of parts of the rows
/// Shapes    moments [parts, c], part_rows [parts], mean and variance [c]
/// Mapping   a block owns a slab of 8 channels, 32 threads a channel
/// Memory    moments once, in pieces of 64 bytes
/// Numerics  as above
/// Limits    fewer than 2^31 channels
__global__ void __launch_bounds__(kThreads)
    batch_norm_combine_kernel(BatchNormTiles t, const Moments* moments, const float* part_rows, float* mean,
                              float* variance) {
  combine_moments(
      t, moments, [&](int part) { return static_cast<double>(__ldcg(part_rows + part)); }, mean, variance);
}

struct Channels {
  const float *gamma, *beta, *mean, *variance;  ///< [c]
};

/// Computes  y = max(floor, (x - mean) / sqrt(variance + eps) gamma + beta + residual); floor is 0 or -inf
/// Shapes    x, residual, y [rows, c]; residual is read where kResidual
/// Mapping   batch_norm_tiles.cuh
/// Memory    x, residual and y once
/// Numerics  f32, rounded to T
/// Limits    fewer than 2^31 channels
template <class T, bool kVectors, bool kResidual>
__global__ void __launch_bounds__(kThreads)
    batch_norm_normalize_kernel(BatchNormTiles t, float floor, float eps, Channels in, const T* __restrict__ x,
                                const T* __restrict__ residual, T* __restrict__ y) {
  constexpr int kCount = kVectorSize<T>;
  ROAP_SHARED_ALIGNED(of_channel, 16, float[3][kBatchNormSlab]);
  const int thread = static_cast<int>(threadIdx.x), own = static_cast<int>(blockIdx.y) * t.slab + thread;
  if (thread < t.slab && own < t.channels) {
    of_channel[0][thread] = in.mean[own];
    of_channel[1][thread] = in.gamma[own] / sqrtf(in.variance[own] + eps);
    of_channel[2][thread] = in.beta[own];
  }
  __syncthreads();
  const BatchNormPlace place = batch_norm_place<T>(t);
  if (place.count <= 0) return;
  float mean[kCount], scale[kCount], beta[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    mean[i] = of_channel[0][place.lane * kCount + i];
    scale[i] = of_channel[1][place.lane * kCount + i];
    beta[i] = of_channel[2][place.lane * kCount + i];
  }
  constexpr int kRows = 2;  // whose loads are in flight together
  const std::int64_t step = static_cast<std::int64_t>(place.rows_at_once) * t.channels;
  const std::int64_t end = place.last_row * t.channels;
  for (std::int64_t at = place.first_row * t.channels + place.channel; at < end; at += kRows * step) {
    Vector<T> loaded[kRows], added[kRows];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      if (at + k * step >= end) continue;
      loaded[k] = load_elements<kVectors>(x + at + k * step, place.count);
      if constexpr (kResidual) added[k] = load_elements<kVectors>(residual + at + k * step, place.count);
    }
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      if (at + k * step >= end) continue;
      float values[kCount], shortcut[kCount] = {};
      to_floats(loaded[k], values);
      if constexpr (kResidual) to_floats(added[k], shortcut);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        values[i] = (values[i] - mean[i]) * scale[i] + beta[i] + shortcut[i];
        values[i] = values[i] < floor ? floor : values[i];  // NaN stays NaN
      }
      store_elements<kVectors>(y + at + k * step, from_floats<T>(values), place.count);
    }
  }
}

constexpr std::size_t kUpdateLayers = 32;
struct UpdateLayers {
  BatchNormRunning<float> of[kUpdateLayers];
};

/// Computes  new = (1 - momentum) running + momentum batch, unbiased variance, unless guard[0] is 0 (batch_norm.h)
/// Shapes    BatchNormRunning, guard [2]
/// Mapping   a thread owns a channel: grid (channels of the widest layer, layers)
/// Memory    all once
/// Numerics  f64, rounded
/// Limits    kUpdateLayers layers
__global__ void __launch_bounds__(kThreads)
    batch_norm_update_kernel(double momentum, const float* guard, const __grid_constant__ UpdateLayers layers) {
  const BatchNormRunning<float>& layer = layers.of[blockIdx.y];
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= layer.channels) return;
  const auto count = static_cast<double>(layer.count);
  const double unbiased = count / (count > 2 ? count - 1 : 1.0);
  const bool finite = guard[0] != 0;
  const float mean = layer.running_mean[c], variance = layer.running_variance[c];
  const double moved_mean = (1 - momentum) * mean + momentum * layer.mean[c];
  const double moved_variance = (1 - momentum) * variance + momentum * unbiased * layer.variance[c];
  layer.new_mean[c] = finite ? static_cast<float>(moved_mean) : mean;
  layer.new_variance[c] = finite ? static_cast<float>(moved_variance) : variance;
}

}  // namespace

template <class T>
void batch_norm_eval(const BatchNormDims& d, const BatchNormParams& params, const T* x, const float* gamma,
                     const float* beta, const float* mean, const float* variance, const T* residual, T* y,
                     Stream stream) {
  const BatchNormTiles t = batch_norm_map_tiles<T>(d);
  const auto run = [&](auto kernel) {
    launch("batch_norm_normalize", {.grid = t.grid(), .block = kThreads}, stream, kernel, t,
           params.relu ? 0.0f : -std::numeric_limits<float>::infinity(), static_cast<float>(params.eps),
           Channels{gamma, beta, mean, variance}, x, residual, y);
  };
  if (residual == nullptr) {
    run(can_use_vectors(d.channels, x, y) ? batch_norm_normalize_kernel<T, true, false>
                                          : batch_norm_normalize_kernel<T, false, false>);
  } else {
    run(can_use_vectors(d.channels, x, y, residual) ? batch_norm_normalize_kernel<T, true, true>
                                                    : batch_norm_normalize_kernel<T, false, true>);
  }
}

template <class T>
void batch_norm_statistics(const BatchNormDims& d, const T* x, float* mean, float* variance,
                           const BatchNormScratch& scratch, Stream stream) {
  const BatchNormTiles t = batch_norm_sum_tiles<T>(d);
  launch("batch_norm_moments", {.grid = t.grid(), .block = kThreads}, stream,
         can_use_vectors(d.channels, x) ? batch_norm_moments_kernel<T, true> : batch_norm_moments_kernel<T, false>, t,
         x, reinterpret_cast<Moments*>(scratch.workspace), scratch.counters, mean, variance);
}

void batch_norm_combine(const BatchNormDims& d, int parts, const float* moments, const float* part_rows, float* mean,
                        float* variance, Stream stream) {
  BatchNormTiles t;
  t.rows = d.rows;
  t.channels = static_cast<int>(d.channels);
  t.slab = 8;
  t.slabs = static_cast<int>(blocks_for(d.channels, t.slab));
  t.row_blocks = parts;
  launch("batch_norm_combine", {.grid = {1, static_cast<unsigned>(t.slabs)}, .block = kThreads}, stream,
         batch_norm_combine_kernel, t, reinterpret_cast<const Moments*>(moments), part_rows, mean, variance);
}

template <class T>
void batch_norm_forward(const BatchNormDims& d, const BatchNormParams& params, const T* x, const float* gamma,
                        const float* beta, const T* residual, T* y, float* mean, float* variance,
                        const BatchNormScratch& scratch, Stream stream) {
  batch_norm_statistics(d, x, mean, variance, scratch, stream);
  batch_norm_eval(d, params, x, gamma, beta, mean, variance, residual, y, stream);
}

void batch_norm_update(double momentum, const float* guard, std::span<const BatchNormRunning<float>> layers,
                       Stream stream) {
  for (; !layers.empty(); layers = layers.subspan(std::min(layers.size(), kUpdateLayers))) {
    const std::size_t count = std::min(layers.size(), kUpdateLayers);
    UpdateLayers some;
    std::copy_n(layers.begin(), count, some.of);
    std::int64_t most = 0;
    for (const BatchNormRunning<float>& layer : layers.first(count)) most = std::max(most, layer.channels);
    launch("batch_norm_update", {.grid = {blocks_for(most, kThreads), static_cast<unsigned>(count)}, .block = kThreads},
           stream, batch_norm_update_kernel, momentum, guard, some);
  }
}

template void batch_norm_eval<float>(const BatchNormDims&, const BatchNormParams&, const float*, const float*,
                                     const float*, const float*, const float*, const float*, float*, Stream);
template void batch_norm_eval<Bf16>(const BatchNormDims&, const BatchNormParams&, const Bf16*, const float*,
                                    const float*, const float*, const float*, const Bf16*, Bf16*, Stream);
template void batch_norm_statistics<float>(const BatchNormDims&, const float*, float*, float*, const BatchNormScratch&,
                                           Stream);
template void batch_norm_statistics<Bf16>(const BatchNormDims&, const Bf16*, float*, float*, const BatchNormScratch&,
                                          Stream);
template void batch_norm_forward<float>(const BatchNormDims&, const BatchNormParams&, const float*, const float*,
                                        const float*, const float*, float*, float*, float*, const BatchNormScratch&,
                                        Stream);
template void batch_norm_forward<Bf16>(const BatchNormDims&, const BatchNormParams&, const Bf16*, const float*,
                                       const float*, const Bf16*, Bf16*, float*, float*, const BatchNormScratch&,
                                       Stream);

}  // namespace roap::cuda
