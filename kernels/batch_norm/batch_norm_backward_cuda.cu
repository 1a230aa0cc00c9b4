#include "kernels/batch_norm/batch_norm_tiles.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = kBatchNormThreads;

/// Sums of g and of g (x - mean) over the rows of one block: partials [row blocks, channels].
using Sums = float2;

/// What dx needs of every channel [c]: dx = g scale - (x - mean) slope - offset.
struct Slopes {
  float *scale, *slope, *offset;
};

struct Channels {
  const float *gamma, *mean, *variance;  ///< [c]
  double eps;
};

/// Combines the blocks' sums of this slab.
__device__ void combine_sums(const BatchNormTiles& t, const Sums* partials, const Channels& in, const Slopes& slopes,
                             float* dgamma, float* dbeta) {
  const int channel = static_cast<int>(blockIdx.y) * t.slab + static_cast<int>(threadIdx.x) % t.slab;
  const Sums* own = partials + min(channel, t.channels - 1);
  const double2 sums = batch_norm_sum_row_blocks(t, [&](int block) {
    const Sums s = __ldcg(own + static_cast<std::int64_t>(block) * t.channels);
    return make_double2(s.x, s.y);
  });
  if (static_cast<int>(threadIdx.x) >= t.slab || channel >= t.channels) return;
  const double r = 1 / sqrt(in.variance[channel] + in.eps), scale = in.gamma[channel] * r;
  const double rows = static_cast<double>(t.rows);
  slopes.scale[channel] = static_cast<float>(scale);
  slopes.slope[channel] = static_cast<float>(scale * r * r * sums.y / rows);
  slopes.offset[channel] = static_cast<float>(scale * sums.x / rows);
  if (dgamma != nullptr) dgamma[channel] = static_cast<float>(sums.y * r);
  if (dbeta != nullptr) dbeta[channel] = static_cast<float>(sums.x);
}

/// The gradient before the ReLU: dy where y > 0, or dy without mask.
template <bool kMask, bool kVectors, class T>
__device__ __forceinline__ void load_gradient(const T* dy, const T* y, std::int64_t at, int count,
                                              float (&g)[kVectorSize<T>]) {
  to_floats(load_elements<kVectors>(dy + at, count), g);
  if constexpr (kMask) {
    float output[kVectorSize<T>];
    to_floats(load_elements<kVectors>(y + at, count), output);
#pragma unroll
    for (int i = 0; i < kVectorSize<T>; ++i) g[i] = output[i] > 0 ? g[i] : 0.0f;
  }
}

/// Computes  dbeta = sum g, dgamma = sum g xhat, and the factors of dx
/// Shapes    dy, y, x [rows, c] (y where kMask), partials [row blocks, c], counters [slabs], all else [c]
/// Mapping   batch_norm_tiles.cuh; the last block of a slab combines the partial sums
/// Memory    dy, y and x once
/// Numerics  f32 sums in a block, which are added in double, in order
/// Limits    fewer than 2^31 channels
template <class T, bool kVectors, bool kMask>
__global__ void __launch_bounds__(kThreads)
    batch_norm_sums_kernel(BatchNormTiles t, const T* dy, const T* y, const T* x, Channels in, Sums* partials,
                           unsigned* counters, Slopes slopes, float* dgamma, float* dbeta) {
  constexpr int kCount = kVectorSize<T>;
  const BatchNormPlace place = batch_norm_place<T>(t);
  float sum[kCount] = {}, deviations[kCount] = {};
  if (place.count > 0) {
    float mean[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) mean[i] = i < place.count ? in.mean[place.channel + i] : 0.0f;
#pragma unroll 2
    for (std::int64_t r = place.first_row; r < place.last_row; r += place.rows_at_once) {
      const std::int64_t at = r * t.channels + place.channel;
      float g[kCount], values[kCount];
      load_gradient<kMask, kVectors>(dy, y, at, place.count, g);
      to_floats(load_elements<kVectors>(x + at, place.count), values);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        sum[i] += g[i];
        deviations[i] += g[i] * (values[i] - mean[i]);
      }
    }
  }
  const float2 sums = batch_norm_block_sums(t, sum, deviations);
  const int thread = static_cast<int>(threadIdx.x), channel = static_cast<int>(blockIdx.y) * t.slab + thread;
  if (thread < t.slab && channel < t.channels) {
    partials[static_cast<std::int64_t>(blockIdx.x) * t.channels + channel] = sums;
  }
  if (is_last_block(counters + blockIdx.y, gridDim.x)) combine_sums(t, partials, in, slopes, dgamma, dbeta);
}

/// Computes  dx (+)= g scale - (x - mean) slope - offset where kDx, dresidual (+)= g unless it is null
/// Shapes    dy, y, x, dx, dresidual [rows, c] (y where kMask), mean and the slopes [c]
/// Mapping   batch_norm_tiles.cuh
/// Memory    dy, y, x, dx and dresidual once
/// Numerics  f32, rounded to T
/// Limits    fewer than 2^31 channels
template <class T, bool kVectors, bool kMask, bool kDx>
__global__ void __launch_bounds__(kThreads)
    batch_norm_apply_kernel(BatchNormTiles t, const T* __restrict__ dy, const T* __restrict__ y,
                            const T* __restrict__ x, const float* mean, Slopes slopes, BatchNormGradients<T> out) {
  constexpr int kCount = kVectorSize<T>;
  ROAP_SHARED_ALIGNED(of_channel, 16, float[4][kBatchNormSlab]);
  const int thread = static_cast<int>(threadIdx.x), own = static_cast<int>(blockIdx.y) * t.slab + thread;
  if (thread < t.slab && own < t.channels) {
    of_channel[0][thread] = mean[own];
    of_channel[1][thread] = slopes.scale[own];
    of_channel[2][thread] = slopes.slope[own];
    of_channel[3][thread] = slopes.offset[own];
  }
  __syncthreads();
  const BatchNormPlace place = batch_norm_place<T>(t);
  if (place.count <= 0) return;
  float factor[4][kCount];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) factor[k][i] = of_channel[k][place.lane * kCount + i];
  }
  const auto put = [&](T* target, bool accumulate, float(&values)[kCount]) {
    if (accumulate) {
      float old[kCount];
      to_floats(load_elements<kVectors>(target, place.count), old);
#pragma unroll
      for (int i = 0; i < kCount; ++i) values[i] += old[i];
    }
    store_elements<kVectors>(target, from_floats<T>(values), place.count);
  };
#pragma unroll 2
  for (std::int64_t r = place.first_row; r < place.last_row; r += place.rows_at_once) {
    const std::int64_t at = r * t.channels + place.channel;
    float g[kCount];
    load_gradient<kMask, kVectors>(dy, y, at, place.count, g);
    if constexpr (kDx) {
      float values[kCount];
      to_floats(load_elements<kVectors>(x + at, place.count), values);
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        values[i] = g[i] * factor[1][i] - (values[i] - factor[0][i]) * factor[2][i] - factor[3][i];
      }
      put(out.dx + at, out.accumulate_dx, values);
    }
    if (out.dresidual != nullptr) put(out.dresidual + at, out.accumulate_dresidual, g);
  }
}

}  // namespace

template <class T>
std::size_t batch_norm_workspace_bytes(const BatchNormDims& d) {
  const BatchNormTiles t = batch_norm_sum_tiles<T>(d);
  return static_cast<std::size_t>(t.row_blocks * d.channels) * sizeof(Sums) +
         3 * static_cast<std::size_t>(d.channels) * sizeof(float);
}

template <class T>
std::size_t batch_norm_counters(const BatchNormDims& d) {
  return static_cast<std::size_t>(batch_norm_sum_tiles<T>(d).slabs);
}

template <class T>
void batch_norm_backward(const BatchNormDims& d, const BatchNormParams& params, const T* dy, const T* y, const T* x,
                         const float* gamma, const float* mean, const float* variance,
                         const BatchNormGradients<T>& gradients, const BatchNormScratch& scratch, Stream stream) {
  const BatchNormTiles sums = batch_norm_sum_tiles<T>(d), map = batch_norm_map_tiles<T>(d);
  auto* partials = reinterpret_cast<Sums*>(scratch.workspace);
  auto* factors = reinterpret_cast<float*>(partials + sums.row_blocks * d.channels);
  const Slopes slopes{factors, factors + d.channels, factors + 2 * d.channels};
  const auto run = [&]<bool kVectors, bool kMask>() {
    launch("batch_norm_sums", {.grid = sums.grid(), .block = kThreads}, stream,
           batch_norm_sums_kernel<T, kVectors, kMask>, sums, dy, y, x, Channels{gamma, mean, variance, params.eps},
           partials, scratch.counters, slopes, gradients.dgamma, gradients.dbeta);
    const auto apply = [&](auto kernel) {
      launch("batch_norm_apply", {.grid = map.grid(), .block = kThreads}, stream, kernel, map, dy, y, x, mean, slopes,
             gradients);
    };
    if (gradients.dx != nullptr) {
      apply(batch_norm_apply_kernel<T, kVectors, kMask, true>);
    } else if (gradients.dresidual != nullptr) {
      apply(batch_norm_apply_kernel<T, kVectors, kMask, false>);
    }
  };
  // Null pointers are aligned.
  const bool vectors = can_use_vectors(d.channels, dy, y, x, gradients.dx, gradients.dresidual);
  if (y != nullptr) {
    vectors ? run.template operator()<true, true>() : run.template operator()<false, true>();
  } else {
    vectors ? run.template operator()<true, false>() : run.template operator()<false, false>();
  }
}

template std::size_t batch_norm_workspace_bytes<float>(const BatchNormDims&);
template std::size_t batch_norm_workspace_bytes<Bf16>(const BatchNormDims&);
template std::size_t batch_norm_counters<float>(const BatchNormDims&);
template std::size_t batch_norm_counters<Bf16>(const BatchNormDims&);
template void batch_norm_backward<float>(const BatchNormDims&, const BatchNormParams&, const float*, const float*,
                                         const float*, const float*, const float*, const float*,
                                         const BatchNormGradients<float>&, const BatchNormScratch&, Stream);
template void batch_norm_backward<Bf16>(const BatchNormDims&, const BatchNormParams&, const Bf16*, const Bf16*,
                                        const Bf16*, const float*, const float*, const float*,
                                        const BatchNormGradients<Bf16>&, const BatchNormScratch&, Stream);

}  // namespace roap::cuda
