#include "kernels/common/ordered_sum.cuh"
#include "kernels/common/pair_tiles.cuh"
#include "kernels/common/soft_operator.h"
#include "kernels/tree_exec/tree_exec.h"

namespace roap::cuda {

namespace {

/// A block's tile: rows [kTilePairs].
struct Tile {
  float* values;     ///< [nodes]
  float* symbols;    ///< [V]
  float* gradients;  ///< [nodes], of the values
};

std::int64_t tile_rows(const TreeLayout& layout, bool backward) {
  return backward ? 2 * layout.nodes() + layout.symbols : layout.nodes();
}

/// Values of all nodes of one pair, kTilePairs apart, from the leaves up.
__device__ __forceinline__ void run_nodes(const TreeLayout& layout, const float* z, const float* symbols,
                                          float* values) {
  const int inner = layout.inner_nodes();
  for (int leaf = 0; leaf < layout.leaf_nodes(); ++leaf) {
    float sum = 0;
    for (int j = 0; j < layout.symbols; ++j) sum += __ldg(z + layout.leaf(leaf) + j) * symbols[j];
    values[(inner + leaf) * kTilePairs] = sum;
  }
  for (int node = inner - 1; node >= 0; --node) {
    const SoftOperator o = soft_operator(z + layout.operators(node));
    const float a = values[(2 * node + 1) * kTilePairs], b = values[(2 * node + 2) * kTilePairs];
    values[node * kTilePairs] = o.first * a + o.second * b + o.product * (a * b);
  }
}

/// Computes  yhat of every task and pair (tree_exec.h)
/// Shapes    z [T, P], symbols [B, V], yhat [T, B], workspace [blocks, nodes, 128]
/// Mapping   a block owns 128 pairs of a task at a time, a thread one pair
/// Memory    values in the workspace, which stays in the cache; weights by broadcast. Bound by reads of the cache
/// Numerics  f32, symbols ascending
/// Limits    none
__global__ void __launch_bounds__(kTilePairs)
    tree_exec_forward_kernel(TreeExecDims d, std::int64_t tiles, const float* z, const float* symbols, float* yhat,
                             float* workspace) {
  float* values = workspace + static_cast<std::int64_t>(blockIdx.x) * d.layout.nodes() * kTilePairs + threadIdx.x;
  for (std::int64_t item = blockIdx.x; item < d.tasks * tiles; item += gridDim.x) {
    const std::int64_t task = item / tiles, pair = item % tiles * kTilePairs + threadIdx.x;
    if (pair >= d.pairs) continue;
    run_nodes(d.layout, z + task * d.layout.count(), symbols + pair * d.layout.symbols, values);
    yhat[task * d.pairs + pair] = values[0];
  }
}

/// Passes the root's gradient down to all nodes of one pair; `column` points to its elements of the tile's rows.
__device__ __forceinline__ void sweep_down(const TreeLayout& layout, const float* z, const Tile& column) {
  for (int node = 0; node < layout.inner_nodes(); ++node) {
    const SoftOperator o = soft_operator(z + layout.operators(node));
    const int left = 2 * node + 1, right = left + 1;
    const float g = column.gradients[node * kTilePairs];
    column.gradients[left * kTilePairs] = g * (o.first + o.product * column.values[right * kTilePairs]);
    column.gradients[right * kTilePairs] = g * (o.second + o.product * column.values[left * kTilePairs]);
  }
}

/// What one pair, element `pair` of the tile's rows, adds to the gradient of weight i.
__device__ __forceinline__ float weight_gradient(const TreeLayout& layout, const Tile& tile, std::int64_t i, int pair) {
  const auto at = [pair](const float* rows, int row) { return rows[row * kTilePairs + pair]; };
  if (i < layout.leaf(0)) {
    const int node = static_cast<int>(i) / kOperators, kind = static_cast<int>(i) % kOperators;
    const float g = at(tile.gradients, node);
    const float a = at(tile.values, 2 * node + 1), b = at(tile.values, 2 * node + 2);
    return g * (kind == 0 ? a + b : kind == 1 ? a - b : kind == 2 ? a * b : a);
  }
  const int q = static_cast<int>(i - layout.leaf(0));
  return at(tile.gradients, layout.inner_nodes() + q / layout.symbols) * at(tile.symbols, q % layout.symbols);
}

/// Computes  dz of every task, and dsymbols of every task and pair (tree_exec.h)
/// Shapes    dyhat [T, B], z and dz [T, P], symbols [B, V], parts [T, B, V], workspace [blocks, 2 nodes + V, 128]; dz
///           may be null
/// Mapping   a block owns a task at a time and runs 128 pairs up and down the tree, a thread one pair; then a warp
///           adds their part to the gradient of one weight at a time
/// Memory    values and gradients in the workspace, which stays in the cache. Bound by reads of it
/// Numerics  f32; sums over a tile as in write_tile_gradients, then tiles in order
/// Limits    none
__global__ void __launch_bounds__(kTilePairs, 4)
    tree_exec_backward_kernel(TreeExecDims d, std::int64_t rows, const float* dyhat, const float* z,
                              const float* symbols, float* dz, bool accumulate_z, float* parts, float* workspace) {
  const TreeLayout layout = d.layout;
  float* memory = workspace + blockIdx.x * rows * kTilePairs;
  float* symbol_rows = memory + static_cast<std::int64_t>(layout.nodes()) * kTilePairs;
  const Tile tile{memory, symbol_rows, symbol_rows + static_cast<std::int64_t>(layout.symbols) * kTilePairs};
  const int own = static_cast<int>(threadIdx.x);
  const Tile column{tile.values + own, tile.symbols + own, tile.gradients + own};
  for (std::int64_t task = blockIdx.x; task < d.tasks; task += gridDim.x) {
    const float* weights = z + task * layout.count();
    for (std::int64_t first = 0; first < d.pairs; first += kTilePairs) {
      const bool exists = first + own < d.pairs;  // all others repeat the last pair without a gradient
      const std::int64_t pair = exists ? first + own : d.pairs - 1;
      const float* inputs = symbols + pair * layout.symbols;
      __syncthreads();  // the tile is free
      run_nodes(layout, weights, inputs, column.values);
      column.gradients[0] = exists ? dyhat[task * d.pairs + pair] : 0.0f;
      sweep_down(layout, weights, column);
      for (int j = 0; j < layout.symbols; ++j) {
        column.symbols[j * kTilePairs] = inputs[j];
        float sum = 0;
        for (int leaf = 0; leaf < layout.leaf_nodes(); ++leaf) {
          sum += column.gradients[(layout.inner_nodes() + leaf) * kTilePairs] * __ldg(weights + layout.leaf(leaf) + j);
        }
        if (exists) parts[(task * d.pairs + pair) * layout.symbols + j] = sum;
      }
      __syncthreads();
      if (dz == nullptr) continue;
      write_tile_gradients(layout.count(), dz + task * layout.count(), accumulate_z || first > 0,
                           [&](std::int64_t i, int p) { return weight_gradient(layout, tile, i, p); });
    }
  }
}

std::int64_t forward_tiles(const TreeExecDims& d) { return blocks_for(d.pairs, kTilePairs); }

std::int64_t blocks_of(const TreeExecDims& d, bool backward) {
  return tile_blocks(backward ? d.tasks : d.tasks * forward_tiles(d), tile_rows(d.layout, backward));
}

/// Floats of dsymbols of every task; the workspace of backward begins with them.
std::int64_t parts_size(const TreeExecDims& d) { return d.tasks * d.pairs * d.layout.symbols; }

}  // namespace

std::size_t tree_exec_forward_workspace(const TreeExecDims& d) {
  return tile_bytes(blocks_of(d, false), tile_rows(d.layout, false));
}

std::size_t tree_exec_backward_workspace(const TreeExecDims& d) {
  return sizeof(float) * static_cast<std::size_t>(parts_size(d)) +
         tile_bytes(blocks_of(d, true), tile_rows(d.layout, true));
}

void tree_exec_forward(const TreeExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace,
                       Stream stream) {
  launch("tree_exec_forward", {.grid = static_cast<unsigned>(blocks_of(d, false)), .block = kTilePairs}, stream,
         tree_exec_forward_kernel, d, forward_tiles(d), z, symbols, yhat, workspace);
}

void tree_exec_backward(const TreeExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace, Stream stream) {
  launch("tree_exec_backward", {.grid = static_cast<unsigned>(blocks_of(d, true)), .block = kTilePairs}, stream,
         tree_exec_backward_kernel, d, tile_rows(d.layout, true), dyhat, z, symbols, dz, accumulate_z, workspace,
         workspace + parts_size(d));
  if (dsymbols == nullptr) return;
  ordered_sum("tree_exec_symbols", d.tasks, d.pairs * d.layout.symbols, workspace, dsymbols, accumulate_symbols,
              stream);
}

}  // namespace roap::cuda
