#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/formula_posterior/formula_schedule.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kUseLanes = 8;  ///< that add up the uses of an entry

/// For rows of K floats that a block keeps in shared memory where they fit; every card has so much.
constexpr std::int64_t kMostSharedBytes = 96 * 1024;
bool fits_shared(std::int64_t rows, const FormulaPosteriorDims& d) {
  return rows * d.formulas->count() * static_cast<std::int64_t>(sizeof(float)) <= kMostSharedBytes;
}
std::size_t shared_bytes(std::int64_t rows, const FormulaPosteriorDims& d) {
  return sizeof(float) * static_cast<std::size_t>(rows * d.formulas->count());
}

/// Computes  values of all formulas (formula_posterior.h)
/// Shapes    symbols [B, V], values [B, K]
/// Mapping   a block owns a pair and computes level by level, a thread an entry
/// Memory    the pair's values in shared memory where they fit, else where they are written; tables by all blocks, from
///           the cache. Bound by their latency, a few reads per level
/// Numerics  f32, one operation per entry
/// Limits    fewer than 2^31 pairs
template <bool kShared>
__global__ void __launch_bounds__(kThreads)
    formula_values_kernel(int count, int symbol_count, FormulaTables tables, const float* symbols, float* values) {
  float* result = values + static_cast<std::int64_t>(blockIdx.x) * count;
  float* row = result;
  if constexpr (kShared) row = dynamic_shared<float>();
  const int thread = static_cast<int>(threadIdx.x);
  const float* own = symbols + static_cast<std::int64_t>(blockIdx.x) * symbol_count;
  for (int v = thread; v < symbol_count; v += kThreads) row[v] = own[v];
  __syncthreads();
  for (int level = 0; level < tables.levels; ++level) {
    const int end = tables.first_step[level + 1];
#pragma unroll 4
    for (int i = tables.first_step[level] + thread; i < end; i += kThreads) {
      const FormulaStep step = tables.steps[i];
      const float a = row[step.left], b = row[step.right];
      row[step.target] = step.op == FormulaOperator::add ? a + b : step.op == FormulaOperator::sub ? a - b : a * b;
    }
    __syncthreads();
  }
  for (int k = thread; kShared && k < count; k += kThreads) result[k] = row[k];
}

/// What entries that have an entry as an argument pass on to it: its uses first, first + kStride, ... before last.
template <int kStride>
__device__ __forceinline__ float passed_on(const FormulaUse* uses, int first, int last, const float* values,
                                           const float* gradients) {
  float sum = 0;
#pragma unroll 4
  for (int i = first; i < last; i += kStride) {
    const FormulaUse use = uses[i];
    const float factor = use.factor >= 0 ? values[use.factor] : use.factor == FormulaUse::kPlus ? 1.0f : -1.0f;
    sum += gradients[use.gradient] * factor;
  }
  return sum;
}

/// Computes  dsymbols from the gradients by every formula's own value (formula_posterior.h)
/// Shapes    values [B, K], gradients [parts, B, K], overwritten; dsymbols [B, V]
/// Mapping   a block owns a pair and goes through the levels from the last: 8 lanes gather an entry's gradient from its
///           users, all threads that of a symbol
/// Memory    the pair's values and gradients in shared memory where they fit; tables by all blocks, from the cache.
///           Bound by their latency
/// Numerics  f32: parts in order, then the uses of a lane, then lanes (and warps) in a fixed tree
/// Limits    fewer than 2^31 pairs
template <bool kShared>
__global__ void __launch_bounds__(kThreads)
    formula_sweep_kernel(int count, int symbol_count, std::int64_t parts, FormulaTables tables, const float* values,
                         float* gradients, float* dsymbols, bool accumulate) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * count;
  const std::int64_t part_size = static_cast<std::int64_t>(gridDim.x) * count;
  const float* value = values + first;
  float* gradient = gradients + first;
  if constexpr (kShared) {
    value = dynamic_shared<float>();
    gradient = dynamic_shared<float>(sizeof(float) * static_cast<unsigned>(count));
  }
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kUseLanes;
  for (int k = thread; k < count; k += kThreads) {
    float sum = 0;
    for (std::int64_t part = 0; part < parts; ++part) sum += gradients[part * part_size + first + k];
    gradient[k] = sum;
    if constexpr (kShared) dynamic_shared<float>()[k] = values[first + k];
  }
  __syncthreads();
  for (int level = 0; level < tables.levels; ++level) {
    const int end = tables.first_user[level + 1];
    for (int group = tables.first_user[level]; group < end; group += kThreads / kUseLanes) {
      const int i = group + thread / kUseLanes;
      const FormulaUses own = i < end ? tables.users[i] : FormulaUses{0, 0, 0};
      const float sum =
          group_sum<kUseLanes>(passed_on<kUseLanes>(tables.uses, own.first + lane, own.last, value, gradient));
      if (i < end && lane == 0) gradient[own.entry] += sum;
    }
    __syncthreads();
  }
  for (int v = 0; v < symbol_count; ++v) {
    const FormulaUses own = tables.users[v];
    const float sum =
        block_sum<kThreads>(passed_on<kThreads>(tables.uses, own.first + thread, own.last, value, gradient));
    if (thread > 0) continue;
    float& target = dsymbols[static_cast<std::int64_t>(blockIdx.x) * symbol_count + v];
    target = (accumulate ? target : 0.0f) + (gradient[v] + sum);
  }
}

}  // namespace

void formula_values(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* symbols, float* values,
                    Stream stream) {
  const bool shared = fits_shared(1, d);
  launch("formula_values",
         {.grid = static_cast<unsigned>(d.pairs), .block = kThreads, .shared_bytes = shared ? shared_bytes(1, d) : 0},
         stream, shared ? formula_values_kernel<true> : formula_values_kernel<false>,
         static_cast<int>(d.formulas->count()), d.formulas->symbols, tables, symbols, values);
}

void formula_sweep(const FormulaPosteriorDims& d, const FormulaTables& tables, std::int64_t parts, const float* values,
                   float* gradients, float* dsymbols, bool accumulate, Stream stream) {
  const bool shared = fits_shared(2, d);
  launch("formula_sweep",
         {.grid = static_cast<unsigned>(d.pairs), .block = kThreads, .shared_bytes = shared ? shared_bytes(2, d) : 0},
         stream, shared ? formula_sweep_kernel<true> : formula_sweep_kernel<false>,
         static_cast<int>(d.formulas->count()), d.formulas->symbols, parts, tables, values, gradients, dsymbols,
         accumulate);
}

}  // namespace roap::cuda
