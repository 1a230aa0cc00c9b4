#include <bit>

#include "kernels/common/launch.h"
#include "kernels/point_mlp/point_mlp_row.cuh"

// Rows of a network without symbols depend on y alone, and of y few values are distinct: all tasks take theirs from the
// same few formulas' results. So the network runs once for each value, and a set looks up the rows of its pairs.
//
// Not for rows with symbols, which tasks share on one pair only. An estimate from an H100's ceilings, which no card has
// confirmed: a row of 0.26 MFLOP takes 0.33 to 0.5 ns at 800 to 500 TFLOP/s. Shared, a fraction q of the cells has a
// row to compute and 1 KB of it to write, and every cell has 1 KB to read, 0.2 to 0.35 ns each at 5.5 (L2) to 3 TB/s.
// With 500 tasks q is 0.43, which makes 0.4 to 0.65 ns a cell: no gain, but memory for all rows.

namespace roap::cuda {

namespace {

constexpr int kThreads = 256;
constexpr std::uint32_t kNoKey = 0xffffffff;  // of an empty slot

/// Computes  an empty table
/// Shapes    PointMlpValues
/// Mapping   a thread owns a slot
/// Memory    keys written once
/// Numerics  exact
__global__ void __launch_bounds__(kThreads) point_mlp_clear_values_kernel(PointMlpValues values) {
  const int slot = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (slot == 0) *values.count = 0;
  if (slot < values.slots) values.keys[slot] = kNoKey;
}

/// Computes  the distinct values of y and the slot of every cell's value; values.count exceeds values.most where there
///           are more than that
/// Shapes    y [cells], PointMlpValues
/// Mapping   a thread owns a cell and looks for its value from the slot of a hash on
/// Memory    y read and slot_of_cell written once, coalesced; the table stays in L2
/// Numerics  values are compared by their bits. Which row a value gets depends on who comes first, but not what the
///           row yields, and rows are looked up pair by pair: the maxima are the same bits
/// Limits    none: when `most` is exceeded, all give up
__global__ void __launch_bounds__(kThreads)
    point_mlp_find_values_kernel(std::int64_t cells, const float* y, PointMlpValues values) {
  const std::int64_t cell = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (cell >= cells) return;
  const float value = y[cell];
  // The NaN whose bits mark an empty slot is taken for another one; the network makes the same of both.
  const std::uint32_t key = min(__float_as_uint(value), kNoKey - 1);
  const volatile std::int32_t* count = values.count;
  const volatile std::uint32_t* keys = values.keys;
  for (int slot = static_cast<int>(key * 2654435769u >> values.hash_shift); *count <= values.most;
       slot = (slot + 1) % values.slots) {
    std::uint32_t found = keys[slot];
    if (found == kNoKey) found = atomicCAS(values.keys + slot, kNoKey, key);
    if (found == kNoKey) {
      const std::int32_t row = atomicAdd(values.count, 1);
      if (row < values.most) {
        values.y[row] = value;
        values.row_of_slot[slot] = row;
      }
      found = key;
    }
    if (found != key) continue;
    values.slot_of_cell[cell] = slot;
    return;
  }
}

/// Computes  the maximum over the pairs of a set of the rows of their values, and the pair that wins
/// Shapes    PointMlpValues with z -> h, index [tasks, features]
/// Mapping   a block owns a task and 256 features, a thread a feature: grid (tasks, blocks of features)
/// Memory    a row of z per cell, from L2 (2,000 rows of 256 features are 2 MB)
/// Numerics  exact; the lowest pair wins a tie; a NaN only where all values are
__global__ void __launch_bounds__(kThreads)
    point_mlp_look_up_kernel(PointMlpDims d, PointMlpValues values, float* h, std::int32_t* index) {
  if (!are_shared(values)) return;
  ROAP_SHARED(rows, std::int32_t[kThreads]);
  const int features = static_cast<int>(d.features), pairs = static_cast<int>(d.pairs);
  const int thread = static_cast<int>(threadIdx.x), feature = static_cast<int>(blockIdx.y) * kThreads + thread;
  const std::int32_t* slots = values.slot_of_cell + blockIdx.x * d.pairs;
  Best best;
  for (int first = 0; first < pairs; first += kThreads) {
    __syncthreads();  // the rows before have been read
    if (first + thread < pairs) rows[thread] = values.row_of_slot[slots[first + thread]];
    __syncthreads();
    const int count = feature < features ? min(kThreads, pairs - first) : 0;
#pragma unroll 8
    for (int i = 0; i < count; ++i) {
      best.update(values.z[static_cast<std::int64_t>(rows[i]) * features + feature], first + i);
    }
  }
  if (feature >= features) return;
  best.finish();
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * features + feature;
  h[at] = best.value;
  index[at] = best.pair;
}

}  // namespace

PointMlpValues take_point_mlp_values(const PointMlpDims& d, const PointMlpOptions& options,
                                     WorkspaceCutter& workspace) {
  PointMlpValues values;
  if (d.in > 1 || d.groups > 1 || !options.share_rows || options.most_shared_rows < 1) return values;
  values.most = static_cast<int>(std::min<std::int64_t>(options.most_shared_rows, d.cells()));
  values.slots = static_cast<int>(std::bit_ceil(4U * static_cast<unsigned>(values.most)));
  values.hash_shift = 32 - std::countr_zero(static_cast<unsigned>(values.slots));
  values.count = workspace.take<std::int32_t>(1);
  values.keys = workspace.take<std::uint32_t>(values.slots);
  values.row_of_slot = workspace.take<std::int32_t>(values.slots);
  values.slot_of_cell = workspace.take<std::int32_t>(d.cells());
  values.y = workspace.take<float>(values.most);
  values.z = workspace.take<float>(values.most * d.features);
  return values;
}

void find_point_mlp_values(const PointMlpRows& rows, Stream stream) {
  const PointMlpValues& values = rows.values;
  launch("point_mlp_clear_values", {.grid = blocks_for(values.slots, kThreads), .block = kThreads}, stream,
         point_mlp_clear_values_kernel, values);
  launch("point_mlp_find_values", {.grid = blocks_for(rows.d.cells(), kThreads), .block = kThreads}, stream,
         point_mlp_find_values_kernel, rows.d.cells(), rows.y, values);
}

void look_up_point_mlp_values(const PointMlpRows& rows, float* h, std::int32_t* index, Stream stream) {
  const dim3 grid(static_cast<unsigned>(rows.d.tasks), blocks_for(rows.d.features, kThreads));
  launch("point_mlp_look_up", {.grid = grid, .block = kThreads}, stream, point_mlp_look_up_kernel, rows.d, rows.values,
         h, index);
}

}  // namespace roap::cuda
