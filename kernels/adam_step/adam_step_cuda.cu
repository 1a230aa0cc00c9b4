#include "kernels/adam_step/adam_step.h"
#include "kernels/common/last_block.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/vector_access.cuh"

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kCount = kVectorSize<float>;
constexpr std::int64_t kMostBlocks = 1024;  ///< a block takes several turns, so that it prepares its factors once

struct Factors {
  bool apply;                      ///< the guard found the step finite
  float step;                      ///< updates applied before this one
  float gradient;                  ///< clipping
  float keep1, add1;               ///< beta1, 1 - beta1
  float keep2, add2;               ///< beta2, 1 - beta2
  float correction1, correction2;  ///< 1 / (1 - beta^n)
  float rates[2], eps;
};

__device__ Factors factors_of(const AdamParams& params, const AdamInputs& in) {
  const double n = static_cast<double>(in.step[0]) + 1;
  const double norm = in.guard[1];
  Factors f{};
  f.apply = in.guard[0] != 0;
  f.step = in.step[0];
  f.gradient = params.clip > 0 && norm > params.clip ? static_cast<float>(params.clip / norm) : 1.0f;
  f.keep1 = static_cast<float>(params.beta1);
  f.add1 = static_cast<float>(1 - params.beta1);
  f.keep2 = static_cast<float>(params.beta2);
  f.add2 = static_cast<float>(1 - params.beta2);
  f.correction1 = static_cast<float>(1 / (1 - pow(params.beta1, n)));
  f.correction2 = static_cast<float>(1 / (1 - pow(params.beta2, n)));
  f.rates[0] = in.rates[0];
  f.rates[1] = in.rates[1];
  f.eps = static_cast<float>(params.eps);
  return f;
}

/// Computes  one step of Adam (adam_step.h); out.step last, when no block needs in.step any more
/// Shapes    weights, gradients and moments [count]; step [1], guard [2], rates [2], counter [1]; outputs may be inputs
/// Mapping   a thread owns 16 bytes of each array at a time
/// Memory    four arrays read, three written, once: 28 bytes per weight, bound by memory
/// Numerics  f32; bias corrections and clipping factor in f64, once per block
/// Limits    none
template <bool kVectors>
__global__ void __launch_bounds__(kThreads)
    adam_step_kernel(std::int64_t count, AdamParams params, AdamInputs in, AdamOutputs out, unsigned* counter) {
  ROAP_SHARED(factors, Factors);
  if (threadIdx.x == 0) factors = factors_of(params, in);
  __syncthreads();
  const Factors f = factors;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads * kCount;
  for (std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount; i < count;
       i += stride) {
    const int rest = static_cast<int>(min(count - i, std::int64_t{kCount}));
    Vector<float> w = load_elements<kVectors>(in.weights + i, rest), m = load_elements<kVectors>(in.moment1 + i, rest);
    Vector<float> v = load_elements<kVectors>(in.moment2 + i, rest);
    const Vector<float> gradient = load_elements<kVectors>(in.gradients + i, rest);
    if (f.apply) {
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const float g = f.gradient * gradient.values[k];
        m.values[k] = f.keep1 * m.values[k] + f.add1 * g;
        v.values[k] = f.keep2 * v.values[k] + f.add2 * (g * g);
        const float rate = i + k < params.boundary ? f.rates[0] : f.rates[1];
        w.values[k] -= rate * (m.values[k] * f.correction1) / (sqrtf(v.values[k] * f.correction2) + f.eps);
      }
    }
    store_elements<kVectors>(out.weights + i, w, rest);
    store_elements<kVectors>(out.moment1 + i, m, rest);
    store_elements<kVectors>(out.moment2 + i, v, rest);
  }
  if (is_last_block(counter, gridDim.x) && threadIdx.x == 0) *out.step = f.apply ? f.step + 1 : f.step;
}

}  // namespace

void adam_step(std::int64_t count, const AdamParams& params, const AdamInputs& in, const AdamOutputs& out,
               unsigned* counter, Stream stream) {
  const bool vectors =
      can_use_vectors(count, in.weights, in.gradients, in.moment1, in.moment2, out.weights, out.moment1, out.moment2);
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(blocks_for(count, kThreads * kCount), kMostBlocks));
  launch("adam_step", {.grid = blocks, .block = kThreads}, stream,
         vectors ? adam_step_kernel<true> : adam_step_kernel<false>, count, params, in, out, counter);
}

}  // namespace roap::cuda
