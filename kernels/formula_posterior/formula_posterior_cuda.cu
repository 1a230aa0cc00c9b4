#include <algorithm>

#include "kernels/common/f32_product.cuh"
#include "kernels/common/last_block.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"
#include "kernels/common/workspace.h"
#include "kernels/formula_posterior/formula_schedule.h"

namespace roap::cuda {

namespace {

using P = F32Product;
constexpr int kEvidenceThreads = 256;
constexpr int kEvidenceTasks = kEvidenceThreads / kWarpSize;  ///< of a block
constexpr float kInfinity = __builtin_huge_valf();

/// What the kernels read.
struct Problem {
  std::int64_t tasks, pairs, formulas;
  const float *values, *y, *sigma, *temperature, *floor, *penalty;

  [[nodiscard]] __device__ __forceinline__ float value(std::int64_t k, std::int64_t b) const {
    return k < formulas && b < pairs ? values[b * formulas + k] : 0.0f;
  }
  [[nodiscard]] __device__ __forceinline__ float target(std::int64_t t, std::int64_t b) const {
    return t < tasks && b < pairs ? y[t * pairs + b] : 0.0f;
  }
};

/// Logarithm of a sum of exponentials in parts: of [T, parts] tasks and tiles of formulas.
struct EvidenceParts {
  float *largest, *sum, *least_error;
};

__device__ __forceinline__ float score(float error, float inverse_temperature, float floor, float penalty) {
  return -logf(error + floor) * inverse_temperature - penalty;
}

/// Writes what a thread's errors of task t, formulas first_k + j, and those of the other threads with this task add to
/// its evidence.
__device__ __forceinline__ void write_part(const Problem& p, const float (&errors)[P::kPerThread], std::int64_t t,
                                           std::int64_t first_k, float inverse_temperature, float floor,
                                           const EvidenceParts& parts) {
  float scores[P::kPerThread];
  float largest = -kInfinity, least = kInfinity, sum = 0;
#pragma unroll
  for (int j = 0; j < P::kPerThread; ++j) {
    const float penalty = first_k + j < p.formulas ? p.penalty[first_k + j] : kInfinity;
    const bool candidate = penalty < kInfinity;
    scores[j] = candidate ? score(errors[j], inverse_temperature, floor, penalty) : -kInfinity;
    largest = Max{}(scores[j], largest);
    if (candidate && errors[j] < least) least = errors[j];
  }
  largest = group_max<P::kRowThreads>(largest);
  const float reference = largest == -kInfinity ? 0.0f : largest;  // no candidate here: exp(-infinity) is 0
#pragma unroll
  for (int j = 0; j < P::kPerThread; ++j) sum += expf(scores[j] - reference);
  sum = group_sum<P::kRowThreads>(sum);
  least = group_reduce<P::kRowThreads>(least, Min{});
  if (t >= p.tasks || threadIdx.x % P::kRowThreads != 0) return;
  const std::int64_t place = t * gridDim.x + blockIdx.x;
  parts.largest[place] = largest;
  parts.sum[place] = sum;
  parts.least_error[place] = least;
}

/// Stores a tile of errors in lines of 256 bytes; through shared memory, because rows need not be aligned.
__device__ __forceinline__ void store_errors(const F32Sums& own, std::int64_t first_t, std::int64_t end_t,
                                             std::int64_t first_k, std::int64_t formulas, float* errors) {
  ROAP_SHARED(tile, float[P::kTile][P::kPitch]);
  for_each_f32_sum(own, [&](int i, int j, float error) { tile[i][j] = error; });
  __syncthreads();
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < P::kTile * P::kTile; i += P::kThreads) {
    const std::int64_t t = first_t + i / P::kTile, k = first_k + i % P::kTile;
    if (t < end_t && k < formulas) errors[t * formulas + k] = tile[i / P::kTile][i % P::kTile];
  }
}

/// Computes  errors of all tasks and formulas, and the parts of the evidence (formula_posterior.h)
/// Shapes    tables in Problem; parts [T, tiles of formulas]; errors [T, K] or null
/// Mapping   a block owns 64 tasks and 64 formulas and goes through all pairs; a thread 4 by 4
/// Memory    values once per 64 tasks, y once per 64 formulas, from the cache. Bound by arithmetic: 2 T K B operations
/// Numerics  f32 sums of squared differences in the order of the pairs
/// Limits    fewer than 2^22 tasks
__global__ void __launch_bounds__(P::kThreads, 2)
    formula_errors_kernel(const __grid_constant__ Problem p, EvidenceParts parts, float* errors) {
  const std::int64_t first_k = std::int64_t{blockIdx.x} * P::kTile, first_t = std::int64_t{blockIdx.y} * P::kTile;
  F32Sums sums = {};
  add_f32_terms<ReadAlong::k, ReadAlong::rows>(
      sums, static_cast<int>(p.pairs), [&](int row, int b) { return p.target(first_t + row, b); },
      [&](int row, int b) { return p.value(first_k + row, b); },
      [](float sum, float y, float value, int, int) {
        const float difference = value - y;
        return sum + difference * difference;
      });
  const float inverse_temperature = 1.0f / p.temperature[0], floor = p.floor[0];
#pragma unroll
  for (int i = 0; i < P::kPerThread; ++i) {
    const std::int64_t t = first_t + first_f32_row_a() + i;
    const float deviation = t < p.tasks ? p.sigma[t] : 1.0f;
    const float scale = 1.0f / (static_cast<float>(p.pairs) * deviation * deviation);
#pragma unroll
    for (int j = 0; j < P::kPerThread; ++j) sums[i][j] *= scale;
    if (parts.sum != nullptr) {
      write_part(p, sums[i], t, first_k + first_f32_row_b(), inverse_temperature, floor, parts);
    }
  }
  if (errors != nullptr) store_errors(sums, first_t, p.tasks, first_k, p.formulas, errors);
}

/// Computes  evidence and least error of every task from their parts, and the loss (formula_posterior.h)
/// Shapes    parts [T, count], temperature, loss and counter [1], evidence and least_error [T]
/// Mapping   a warp owns a task, the last block the loss, of which a thread adds every 256th task
/// Memory    parts once
/// Numerics  f64 sums in a fixed tree
/// Limits    fewer than 2^31 tasks and parts
__global__ void __launch_bounds__(kEvidenceThreads)
    formula_evidence_kernel(int tasks, int count, EvidenceParts parts, const float* temperature, float* loss,
                            float* evidence, float* least_error, unsigned* counter) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int t = static_cast<int>(blockIdx.x) * kEvidenceTasks + uniform_warp();
  if (t < tasks) {
    const std::int64_t row = static_cast<std::int64_t>(t) * count;
    float largest = -kInfinity, least = kInfinity;
    for (int i = lane; i < count; i += kWarpSize) {
      largest = Max{}(parts.largest[row + i], largest);
      least = fminf(parts.least_error[row + i], least);
    }
    largest = warp_max(largest);
    least = warp_min(least);
    double sum = 0;
    for (int i = lane; i < count; i += kWarpSize) {
      sum += parts.sum[row + i] * exp(static_cast<double>(parts.largest[row + i]) - largest);
    }
    sum = warp_sum(sum);
    if (lane == 0) {
      evidence[t] = static_cast<float>(largest + log(sum));
      least_error[t] = least;
    }
  }
  if (!is_last_block(counter, gridDim.x)) return;
  double total = 0;
  for (int i = static_cast<int>(threadIdx.x); i < tasks; i += kEvidenceThreads) total += __ldcg(evidence + i);
  total = block_sum<kEvidenceThreads>(total);
  if (threadIdx.x == 0) loss[0] = static_cast<float>(-static_cast<double>(temperature[0]) * total / tasks);
}

/// Computes  gradients of the loss by the value of every formula itself: sum over tasks of weight_tk (F_kb - y_tb), a
///           part for each of gridDim.z runs of tasks
/// Shapes    tables in Problem, whose tasks are those of errors [tasks, K] and evidence [tasks]; dloss [1]; gradients
///           [parts, B, K]
/// Mapping   a block owns 64 pairs and 64 formulas and goes through its tasks; a thread 4 by 4
/// Memory    errors once per 64 pairs. Bound by arithmetic: 2 T K B operations, and some 60 per error for its weight
/// Numerics  f32 in the order of the tasks
/// Limits    fewer than 2^22 pairs, 2^31 tasks
__global__ void __launch_bounds__(P::kThreads, 2)
    formula_gradients_kernel(const __grid_constant__ Problem p, std::int64_t all_tasks, int part_tasks,
                             const float* dloss, const float* evidence, const float* errors, float* gradients,
                             bool accumulate) {
  const std::int64_t first_k = std::int64_t{blockIdx.x} * P::kTile, first_b = std::int64_t{blockIdx.y} * P::kTile;
  const std::int64_t first_t = std::int64_t{blockIdx.z} * part_tasks;
  const int depth = static_cast<int>(min(static_cast<std::int64_t>(part_tasks), p.tasks - first_t));
  const float inverse_temperature = 1.0f / p.temperature[0], floor = p.floor[0];
  const float factor = 2 * dloss[0] / (static_cast<float>(all_tasks) * static_cast<float>(p.pairs));
  const auto weight = [&](int row, int i) {
    const std::int64_t k = first_k + row, t = first_t + i;
    if (i >= depth || k >= p.formulas) return 0.0f;
    const float error = errors[t * p.formulas + k], deviation = p.sigma[t];
    // Rounding can lift the only candidate's score a little above the evidence.
    const float exponent = score(error, inverse_temperature, floor, p.penalty[k]) - evidence[t];
    const float posterior = expf(exponent > 0 ? 0.0f : exponent);
    return posterior == 0 ? 0.0f : posterior * factor / (deviation * deviation * (error + floor));
  };
  F32Sums sums = {}, values;
#pragma unroll
  for (int i = 0; i < P::kPerThread; ++i) {
#pragma unroll
    for (int j = 0; j < P::kPerThread; ++j) {
      // Without infinite values, whose weights are zero.
      const float value = p.value(first_k + first_f32_row_b() + j, first_b + first_f32_row_a() + i);
      values[i][j] = fabsf(value) == kInfinity ? 0.0f : value;
    }
  }
  add_f32_terms<ReadAlong::rows, ReadAlong::rows>(
      sums, depth, [&](int row, int i) { return i < depth ? p.target(first_t + i, first_b + row) : 0.0f; }, weight,
      [&](float sum, float y, float w, int i, int j) { return sum + w * (values[i][j] - y); });
  float* part = gradients + blockIdx.z * p.pairs * p.formulas;
  for_each_f32_sum(sums, [&](int i, int j, float sum) {
    const std::int64_t b = first_b + i, k = first_k + j;
    if (b >= p.pairs || k >= p.formulas) return;
    float& target = part[b * p.formulas + k];
    target = accumulate ? target + sum : sum;
  });
}

/// Parts of the gradients: so many that there is work for every multiprocessor, each of whole slices of tasks.
std::int64_t part_tasks(std::int64_t tasks, std::int64_t tiles) {
  constexpr std::int64_t kBlocks = 4 * 132;
  const std::int64_t parts = std::clamp<std::int64_t>(kBlocks / tiles, 1, 16);
  return round_up(pieces_of(tasks, parts), P::kDepth);
}

struct ForwardMemory {
  EvidenceParts parts;
  float* values;
  std::size_t bytes;

  ForwardMemory(const FormulaPosteriorDims& d, std::byte* base) {
    WorkspaceCutter cutter(base);
    values = cutter.take<float>(d.pairs * d.formulas->count());
    const std::int64_t count = d.tasks * pieces_of(d.formulas->count(), P::kTile);
    parts = {cutter.take<float>(count), cutter.take<float>(count), cutter.take<float>(count)};
    bytes = cutter.bytes();
  }
};

struct BackwardMemory {
  std::int64_t run;         ///< tasks whose errors exist at a time
  std::int64_t part_tasks;  ///< of them in a part
  std::int64_t parts;
  float *values, *gradients, *errors;
  std::size_t bytes;

  BackwardMemory(const FormulaPosteriorDims& d, bool errors_saved, std::byte* base) {
    constexpr std::int64_t kRunErrors = std::int64_t{1} << 22;  // they stay in the cache
    const std::int64_t count = d.formulas->count();
    run =
        errors_saved ? d.tasks : std::min(d.tasks, std::max<std::int64_t>(1, kRunErrors / count / P::kTile) * P::kTile);
    part_tasks = cuda::part_tasks(run, pieces_of(count, P::kTile) * pieces_of(d.pairs, P::kTile));
    parts = pieces_of(run, part_tasks);
    WorkspaceCutter cutter(base);
    values = cutter.take<float>(d.pairs * count);
    gradients = cutter.take<float>(parts * d.pairs * count);
    errors = cutter.take<float>(errors_saved ? 0 : run * count);
    bytes = cutter.bytes();
  }
};

unsigned tiles(std::int64_t size) { return f32_product_tiles(size); }

}  // namespace

std::size_t formula_posterior_forward_workspace(const FormulaPosteriorDims& d) {
  return ForwardMemory(d, nullptr).bytes;
}

std::size_t formula_posterior_backward_workspace(const FormulaPosteriorDims& d, bool errors_saved) {
  return BackwardMemory(d, errors_saved, nullptr).bytes;
}

void formula_posterior_forward(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* symbols,
                               const float* y, const float* sigma, const float* temperature, const float* floor,
                               float* loss, float* evidence, float* least_error, float* errors, unsigned* counter,
                               std::byte* workspace, Stream stream) {
  const ForwardMemory memory(d, workspace);
  formula_values(d, tables, symbols, memory.values, stream);
  const std::int64_t count = d.formulas->count();
  const Problem problem{d.tasks, d.pairs, count, memory.values, y, sigma, temperature, floor, tables.penalty};
  launch("formula_errors", {.grid = {tiles(count), tiles(d.tasks)}, .block = P::kThreads}, stream,
         formula_errors_kernel, problem, memory.parts, errors);
  launch("formula_evidence", {.grid = blocks_for(d.tasks, kEvidenceTasks), .block = kEvidenceThreads}, stream,
         formula_evidence_kernel, static_cast<int>(d.tasks), static_cast<int>(tiles(count)), memory.parts, temperature,
         loss, evidence, least_error, counter);
}

void formula_posterior_backward(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* dloss,
                                const float* symbols, const float* y, const float* sigma, const float* temperature,
                                const float* floor, const float* evidence, const float* errors, float* dsymbols,
                                bool accumulate, std::byte* workspace, Stream stream) {
  const BackwardMemory memory(d, errors != nullptr, workspace);
  formula_values(d, tables, symbols, memory.values, stream);
  const std::int64_t count = d.formulas->count();
  for (std::int64_t first = 0; first < d.tasks; first += memory.run) {
    const std::int64_t tasks = std::min(memory.run, d.tasks - first);
    const Problem problem{tasks,         d.pairs,     count, memory.values, y + first * d.pairs,
                          sigma + first, temperature, floor, tables.penalty};
    if (errors == nullptr) {
      launch("formula_errors_again", {.grid = {tiles(count), tiles(tasks)}, .block = P::kThreads}, stream,
             formula_errors_kernel, problem, EvidenceParts{}, memory.errors);
    }
    const auto parts = static_cast<unsigned>(pieces_of(tasks, memory.part_tasks));  // fewer in the last run
    launch("formula_gradients", {.grid = {tiles(count), tiles(d.pairs), parts}, .block = P::kThreads}, stream,
           formula_gradients_kernel, problem, d.tasks, static_cast<int>(memory.part_tasks), dloss, evidence + first,
           errors != nullptr ? errors : memory.errors, memory.gradients, first > 0);
  }
  formula_sweep(d, tables, memory.parts, memory.values, memory.gradients, dsymbols, accumulate, stream);
}

}  // namespace roap::cuda
