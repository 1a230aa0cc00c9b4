#include "kernels/common/parallel.h"
#include "kernels/gumbel_softmax/gumbel_softmax.h"
#include "kernels/gumbel_softmax/gumbel_softmax_isa.h"

// Computes: ragged Gumbel-softmax and its gradient.
// Mapping: a piece owns a range of tiles of kSoftmaxRows rows.
// Memory: the output rows hold the noisy logits; a tile's softmax goes through a piece's scratch memory.
// Numerics: f32; logarithm and exponential of our own within 2 ulp; sums of a group in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kPieces = 32;

/// Calls run(first task, tasks, scratch memory) for every tile.
template <class Run>
void for_each_tile(const GumbelSoftmaxDims& d, std::byte* workspace, Run&& run) {
  const std::int64_t tiles = pieces_of(d.tasks, kSoftmaxRows);
  const std::int64_t grain = pieces_of(tiles, kPieces);
  parallel_ranges(tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    float* scratch = reinterpret_cast<float*>(workspace) + begin / grain * softmax_scratch(d.logits);
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t task = tile * kSoftmaxRows;
      run(task, std::min<std::int64_t>(kSoftmaxRows, d.tasks - task), scratch);
    }
  });
}

/// p and dlogits may be the same memory.
void backward_row(const GumbelSoftmaxParams& params, const float* dz, const float* p, float sharpness, float* dlogits) {
  for (const int size : params.group_sizes) {
    float dot = 0;
    for (int i = 0; i < size; ++i) dot += dz[i] * p[i];
    for (int i = 0; i < size; ++i) dlogits[i] = sharpness * p[i] * (dz[i] - dot);
    dz += size;
    p += size;
    dlogits += size;
  }
}

/// One tile's noisy logits, and their softmax or one-hot vectors.
struct Sampler {
  const GumbelSoftmaxDims& d;
  const GumbelSoftmaxParams& params;
  const float* logits;
  float sharpness;
  const std::uint32_t* key;

  void noisy(std::int64_t task, std::int64_t tasks, float* values) const {
    const std::int64_t first = task * d.logits;
    const RandomKey random = params.noise ? random_key_of(key) : RandomKey{};
    noisy_logits({logits + first, tasks * d.logits, sharpness, params.noise, random, static_cast<std::uint64_t>(first)},
                 values);
  }
  void choose(std::int64_t tasks, float* values, float* scratch, bool one_hot) const {
    const auto groups = static_cast<std::int64_t>(params.group_sizes.size());
    softmax_groups({params.group_sizes.data(), groups, tasks, d.logits, values, scratch, one_hot});
  }
};

}  // namespace

std::size_t gumbel_softmax_workspace(const GumbelSoftmaxDims& d) {
  const std::int64_t pieces = std::min(kPieces, pieces_of(d.tasks, kSoftmaxRows));
  return static_cast<std::size_t>(pieces * softmax_scratch(d.logits)) * sizeof(float);
}

void gumbel_softmax_forward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* logits,
                            const float* sharpness, const std::uint32_t* key, float* z, std::byte* workspace) {
  const Sampler sampler{d, params, logits, sharpness[0], key};
  for_each_tile(d, workspace, [&](std::int64_t task, std::int64_t tasks, float* scratch) {
    float* rows = z + task * d.logits;
    sampler.noisy(task, tasks, rows);
    sampler.choose(tasks, rows, scratch, params.straight_through);
  });
}

void gumbel_softmax_backward(const GumbelSoftmaxDims& d, const GumbelSoftmaxParams& params, const float* dz,
                             const float* logits, const float* sharpness, const std::uint32_t* key, const float* z,
                             float* dlogits, std::byte* workspace) {
  const Sampler sampler{d, params, logits, sharpness[0], key};
  for_each_tile(d, workspace, [&](std::int64_t task, std::int64_t tasks, float* scratch) {
    if (params.straight_through) {
      sampler.noisy(task, tasks, dlogits + task * d.logits);
      sampler.choose(tasks, dlogits + task * d.logits, scratch, false);
    }
    const float* p = params.straight_through ? dlogits : z;
    for (std::int64_t t = task; t < task + tasks; ++t) {
      backward_row(params, dz + t * d.logits, p + t * d.logits, sharpness[0], dlogits + t * d.logits);
    }
  });
}

}  // namespace roap::cpu
