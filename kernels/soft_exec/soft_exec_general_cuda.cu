#include "kernels/common/pair_tiles.cuh"
#include "kernels/soft_exec/soft_exec.h"
#include "kernels/soft_exec/soft_exec_lines.cuh"

namespace roap::cuda {

namespace {

/// A block's tile: rows [kTilePairs].
struct Tile {
  float* values;     ///< [V + L]
  float* left;       ///< [L], both arguments of every line
  float* right;      ///< [L]
  float* gradients;  ///< [V + L], of the values
};

std::int64_t tile_rows(const StraightLineLayout& layout, bool backward) {
  return backward ? 2 * (layout.symbols + layout.lines) + 2 * layout.lines : layout.symbols + layout.lines;
}

__device__ __forceinline__ Tile tile_of(const StraightLineLayout& layout, float* memory) {
  float* left = memory + static_cast<std::int64_t>(layout.symbols + layout.lines) * kTilePairs;
  float* right = left + static_cast<std::int64_t>(layout.lines) * kTilePairs;
  return {memory, left, right, right + static_cast<std::int64_t>(layout.lines) * kTilePairs};
}

/// Mixture of a pair's values, which are kTilePairs apart.
__device__ __forceinline__ float argument(const float* weights, const float* values, int choices) {
  float sum = 0;
#pragma unroll 4
  for (int i = 0; i < choices; ++i) sum += __ldg(weights + i) * values[i * kTilePairs];
  return sum;
}

/// Runs all lines on the pair whose values' column begins with its symbols; calls keep(line, a, b).
template <class Keep>
__device__ __forceinline__ void run_lines(const StraightLineLayout& layout, const float* z, float* values,
                                          const Keep& keep) {
  for (int line = 0; line < layout.lines; ++line) {
    const float a = argument(z + layout.left(line), values, layout.choices(line));
    const float b = argument(z + layout.right(line), values, layout.choices(line));
    const SoftOperator o = soft_operator(z + layout.operators(line));
    values[layout.choices(line) * kTilePairs] = o.first * a + o.second * b + o.product * (a * b);
    keep(line, a, b);
  }
}

/// Computes  yhat of every task and pair (soft_exec.h), for any V and L
/// Shapes    z [T, P], symbols [B, V], yhat [T, B], workspace [blocks, V + L, 128]
/// Mapping   a block owns 128 pairs of a task at a time, a thread one pair
/// Memory    values in the workspace, which stays in the cache; weights by broadcast. Bound by reads of the cache
/// Numerics  f32, choices ascending
/// Limits    none
__global__ void __launch_bounds__(kTilePairs)
    soft_exec_general_forward_kernel(SoftExecDims d, std::int64_t tiles, const float* z, const float* symbols,
                                     float* yhat, float* workspace) {
  const int inputs = d.layout.symbols, last = d.layout.symbols + d.layout.lines - 1;
  float* values = workspace + static_cast<std::int64_t>(blockIdx.x) * (last + 1) * kTilePairs + threadIdx.x;
  for (std::int64_t item = blockIdx.x; item < d.tasks * tiles; item += gridDim.x) {
    const std::int64_t task = item / tiles, pair = item % tiles * kTilePairs + threadIdx.x;
    if (pair >= d.pairs) continue;
    for (int j = 0; j < inputs; ++j) values[j * kTilePairs] = symbols[pair * inputs + j];
    run_lines(d.layout, z + task * d.layout.count(), values, [](int, float, float) {});
    yhat[task * d.pairs + pair] = values[last * kTilePairs];
  }
}

/// Sweeps a pair's lines back: `column` points to its elements of the tile's rows; the last value has its gradient.
__device__ __forceinline__ void sweep_back(const StraightLineLayout& layout, const float* z, const Tile& column) {
  for (int line = layout.lines - 1; line >= 0; --line) {
    const SoftOperator o = soft_operator(z + layout.operators(line));
    const float *left = z + layout.left(line), *right = z + layout.right(line);
    const float g = column.gradients[layout.choices(line) * kTilePairs];
    const float da = g * (o.first + o.product * column.right[line * kTilePairs]);
    const float db = g * (o.second + o.product * column.left[line * kTilePairs]);
#pragma unroll 4
    for (int i = 0; i < layout.choices(line); ++i) {
      const float earlier = line == layout.lines - 1 ? 0.0f : column.gradients[i * kTilePairs];
      column.gradients[i * kTilePairs] = (earlier + __ldg(left + i) * da) + __ldg(right + i) * db;
    }
  }
}

/// What one pair, element `pair` of the tile's rows, adds to the gradient of weight i.
__device__ __forceinline__ float weight_gradient(const StraightLineLayout& layout, const float* z, const Tile& tile,
                                                 std::int64_t i, int pair) {
  const auto at = [pair](const float* rows, int row) { return rows[row * kTilePairs + pair]; };
  if (i < layout.operators(layout.lines)) {
    const int line = static_cast<int>(i) / kOperators, kind = static_cast<int>(i) % kOperators;
    const float g = at(tile.gradients, layout.choices(line)), a = at(tile.left, line), b = at(tile.right, line);
    return g * (kind == 0 ? a + b : kind == 1 ? a - b : kind == 2 ? a * b : a);
  }
  const bool is_right = i >= layout.right(0);
  const auto [line, choice] =
      argument_place(layout.symbols, static_cast<int>(i - (is_right ? layout.right(0) : layout.left(0))));
  const SoftOperator o = soft_operator(z + layout.operators(line));
  const float other = at(is_right ? tile.left : tile.right, line);
  const float slope = (is_right ? o.second : o.first) + o.product * other;
  return at(tile.gradients, layout.choices(line)) * slope * at(tile.values, choice);
}

/// Computes  dz of every task, and dsymbols of every task and pair (soft_exec.h), for any V and L
/// Shapes    dyhat [T, B], z and dz [T, P], symbols [B, V], parts [T, B, V], workspace [blocks, 2 V + 4 L, 128]; dz may
///           be null
/// Mapping   a block owns a task at a time and runs 128 pairs forward and back, a thread one pair; then a warp adds
///           their part to the gradient of one weight at a time
/// Memory    values, arguments and gradients in the workspace, which stays in the cache. Bound by reads of it
/// Numerics  f32; sums over a tile as in write_tile_gradients, then tiles in order
/// Limits    none
__global__ void __launch_bounds__(kTilePairs, 4)
    soft_exec_general_backward_kernel(SoftExecDims d, std::int64_t rows, const float* dyhat, const float* z,
                                      const float* symbols, float* dz, bool accumulate_z, float* parts,
                                      float* workspace) {
  const int inputs = d.layout.symbols, last = d.layout.symbols + d.layout.lines - 1;
  const Tile tile = tile_of(d.layout, workspace + blockIdx.x * rows * kTilePairs);
  const int own = static_cast<int>(threadIdx.x);
  const Tile column{tile.values + own, tile.left + own, tile.right + own, tile.gradients + own};
  for (std::int64_t task = blockIdx.x; task < d.tasks; task += gridDim.x) {
    const float* weights = z + task * d.layout.count();
    for (std::int64_t first = 0; first < d.pairs; first += kTilePairs) {
      const std::int64_t pair = first + own;
      const bool exists = pair < d.pairs;  // all others are zeros and add nothing
      __syncthreads();                     // the tile is free
      for (int j = 0; j < inputs; ++j) column.values[j * kTilePairs] = exists ? symbols[pair * inputs + j] : 0.0f;
      run_lines(d.layout, weights, column.values, [&](int line, float a, float b) {
        column.left[line * kTilePairs] = a;
        column.right[line * kTilePairs] = b;
      });
      column.gradients[last * kTilePairs] = exists ? dyhat[task * d.pairs + pair] : 0.0f;
      sweep_back(d.layout, weights, column);
      for (int j = 0; j < inputs && exists; ++j) {
        parts[(task * d.pairs + pair) * inputs + j] = column.gradients[j * kTilePairs];
      }
      __syncthreads();
      if (dz == nullptr) continue;
      write_tile_gradients(d.layout.count(), dz + task * d.layout.count(), accumulate_z || first > 0,
                           [&](std::int64_t i, int p) { return weight_gradient(d.layout, weights, tile, i, p); });
    }
  }
}

std::int64_t forward_tiles(const SoftExecDims& d) { return blocks_for(d.pairs, kTilePairs); }

std::int64_t blocks_of(const SoftExecDims& d, bool backward) {
  return tile_blocks(backward ? d.tasks : d.tasks * forward_tiles(d), tile_rows(d.layout, backward));
}

}  // namespace

std::size_t soft_exec_general_workspace(const SoftExecDims& d, bool backward) {
  return tile_bytes(blocks_of(d, backward), tile_rows(d.layout, backward));
}

void soft_exec_general_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat,
                               float* workspace, Stream stream) {
  launch("soft_exec_general_forward", {.grid = static_cast<unsigned>(blocks_of(d, false)), .block = kTilePairs}, stream,
         soft_exec_general_forward_kernel, d, forward_tiles(d), z, symbols, yhat, workspace);
}

void soft_exec_general_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols,
                                float* dz, bool accumulate_z, float* parts, float* workspace, Stream stream) {
  launch("soft_exec_general_backward", {.grid = static_cast<unsigned>(blocks_of(d, true)), .block = kTilePairs}, stream,
         soft_exec_general_backward_kernel, d, tile_rows(d.layout, true), dyhat, z, symbols, dz, accumulate_z, parts,
         workspace);
}

}  // namespace roap::cuda
