#include <cmath>

#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/gumbel_softmax/gumbel_softmax.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kLanes = 8;  ///< of a group: most have 4 to 32 members
constexpr int kGroupsPerBlock = kThreads / kLanes;

/// One group: its place in the tensor, and which of its members a lane begins with. Groups behind the last one are
/// empty, so that all lanes take part in reductions.
struct Group {
  std::int64_t first;
  int size, lane;
};

__device__ __forceinline__ Group group_of(const GumbelSoftmaxDims& d, int groups, const int* offsets) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t index =
      static_cast<std::int64_t>(blockIdx.x) * kGroupsPerBlock + static_cast<int>(threadIdx.x) / kLanes;
  if (index >= d.tasks * groups) return {0, 0, lane};
  const int* begin = offsets + index % groups;
  return {index / groups * d.logits + begin[0], begin[1] - begin[0], lane};
}

struct Sampling {
  const float* logits;
  const float* sharpness;
  const std::uint32_t* key;
  bool noise;
};

__device__ __forceinline__ float noisy_logit(const Sampling& s, std::int64_t element) {
  float x = s.logits[element];
  if (s.noise) {
    const Philox4 words = philox(random_key_of(s.key), static_cast<std::uint64_t>(element / 4));
    const auto word = static_cast<unsigned>(element % 4);  // selected without indexing, which would need memory
    const std::uint32_t bits = word < 2 ? (word == 0 ? words.x[0] : words.x[1]) : (word == 2 ? words.x[2] : words.x[3]);
    x -= logf(-logf(open_uniform(bits)));
  }
  return x * s.sharpness[0];
}

/// Writes the group's noisy logits to `out` and returns the largest.
__device__ __forceinline__ float noisy_logits(const Sampling& s, const Group& group, float* out) {
  float largest = -INFINITY;
  for (int i = group.lane; i < group.size; i += kLanes) {
    const float x = noisy_logit(s, group.first + i);
    out[group.first + i] = x;
    largest = Max{}(largest, x);
  }
  return group_max<kLanes>(largest);
}

/// Writes the softmax of the group's noisy logits to `out`.
__device__ __forceinline__ void softmax_group(const Sampling& s, const Group& group, float* out) {
  const float largest = noisy_logits(s, group, out);
  float sum = 0;
  for (int i = group.lane; i < group.size; i += kLanes) {
    const float e = expf(out[group.first + i] - largest);
    out[group.first + i] = e;
    sum += e;
  }
  sum = group_sum<kLanes>(sum);
  for (int i = group.lane; i < group.size; i += kLanes) out[group.first + i] /= sum;
}

/// Computes  z (gumbel_softmax.h)
/// Shapes    logits and z [T, P], sharpness [1], key [4], offsets [groups + 1]
/// Mapping   eight lanes own a group, a lane every eighth member
/// Memory    logits once; z holds what lanes keep between passes, in the cache. Bound by the launch
/// Numerics  f32, logarithm and exponential within 2 ulp; members of a lane in order, lanes in a fixed tree
/// Limits    fewer than 2^31 blocks
__global__ void __launch_bounds__(kThreads)
    gumbel_softmax_forward_kernel(GumbelSoftmaxDims d, int groups, const int* offsets, Sampling sampling,
                                  bool straight_through, float* z) {
  const Group group = group_of(d, groups, offsets);
  if (!straight_through) {
    softmax_group(sampling, group, z);
    return;
  }
  const float largest = noisy_logits(sampling, group, z);
  int winner = group.size;
  for (int i = group.lane; i < group.size; i += kLanes) {
    if (winner == group.size && z[group.first + i] == largest) winner = i;
  }
  winner = group_reduce<kLanes>(winner, Min{});
  for (int i = group.lane; i < group.size; i += kLanes) z[group.first + i] = i == winner ? 1.0f : 0.0f;
}

/// Computes  dlogits (gumbel_softmax.h)
/// Shapes    dz, logits, z and dlogits [T, P], sharpness [1], key [4], offsets [groups + 1]
/// Mapping   eight lanes own a group, a lane every eighth member
/// Memory    dz and either logits or z twice, dlogits once. Bound by the launch
/// Numerics  as forward
/// Limits    fewer than 2^31 blocks
__global__ void __launch_bounds__(kThreads)
    gumbel_softmax_backward_kernel(GumbelSoftmaxDims d, int groups, const int* offsets, Sampling sampling,
                                   bool straight_through, const float* dz, const float* z, float* dlogits) {
  const Group group = group_of(d, groups, offsets);
  if (straight_through) softmax_group(sampling, group, dlogits);
  const float* p = straight_through ? dlogits : z;
  float dot = 0;
  for (int i = group.lane; i < group.size; i += kLanes) dot += dz[group.first + i] * p[group.first + i];
  dot = group_sum<kLanes>(dot);
  for (int i = group.lane; i < group.size; i += kLanes) {
    const std::int64_t element = group.first + i;
    dlogits[element] = sampling.sharpness[0] * p[element] * (dz[element] - dot);
  }
}

LaunchShape shape_of(const GumbelSoftmaxDims& d, std::size_t groups) {
  return {.grid = blocks_for(d.tasks * static_cast<std::int64_t>(groups), kGroupsPerBlock), .block = kThreads};
}

}  // namespace

void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* logits,
                            const float* sharpness, const std::uint32_t* key, float* z, const int* offsets,
                            Stream stream) {
  const std::size_t groups = params.group_sizes.size();
  launch("gumbel_softmax_forward", shape_of(d, groups), stream, gumbel_softmax_forward_kernel, d,
         static_cast<int>(groups), offsets, Sampling{logits, sharpness, key, params.noise}, params.straight_through, z);
}

void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* dz,
                             const float* logits, const float* sharpness, const std::uint32_t* key, const float* z,
                             float* dlogits, const int* offsets, Stream stream) {
  const std::size_t groups = params.group_sizes.size();
  launch("gumbel_softmax_backward", shape_of(d, groups), stream, gumbel_softmax_backward_kernel, d,
         static_cast<int>(groups), offsets, Sampling{logits, sharpness, key, params.noise}, params.straight_through, dz,
         z, dlogits);
}

}  // namespace roap::cuda
