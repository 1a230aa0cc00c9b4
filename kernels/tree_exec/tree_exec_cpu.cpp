#include "kernels/common/pair_columns.h"
#include "kernels/tree_exec/tree_exec.h"
#include "kernels/tree_exec/tree_exec_isa.h"

// Computes: soft execution of syntax trees and its gradients. Mapping: a piece owns kTaskGrain tasks and runs them one
// by one, pairs in vector lanes. Memory: reads z and the symbols, backward runs the tree again; one partial sum of
// dsymbols per piece. Numerics: f32; lanes are added by halving, vectors of pairs in order, tasks in order within a
// piece, then pieces in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 8;

std::int64_t columns_size(const TreeExecDims& d) { return d.layout.symbols * column_stride(d.pairs); }

TreeExecTask task_of(const TreeExecDims& d, const float* z, const float* columns, std::int64_t task) {
  const float* row = z + task * d.layout.count();
  return {d.layout.symbols,
          d.layout.inner_nodes(),
          d.pairs,
          column_stride(d.pairs),
          columns,
          row + d.layout.operators(0),
          row + d.layout.leaf(0)};
}

}  // namespace

std::size_t tree_exec_forward_workspace(const TreeExecDims& d) {
  const std::int64_t scratch = pieces_of(d.tasks, kTaskGrain) * tree_exec_forward_scratch(d.layout.nodes());
  return sizeof(float) * static_cast<std::size_t>(columns_size(d) + scratch);
}

std::size_t tree_exec_backward_workspace(const TreeExecDims& d) {
  const std::int64_t piece = columns_size(d) + tree_exec_backward_scratch(d.layout.nodes());
  return sizeof(float) * static_cast<std::size_t>(columns_size(d) + pieces_of(d.tasks, kTaskGrain) * piece);
}

void tree_exec_forward(const TreeExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace) {
  float* columns = workspace;
  float* scratch = columns + columns_size(d);
  symbols_to_columns(d.pairs, d.layout.symbols, symbols, columns);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    float* own_scratch = scratch + begin / kTaskGrain * tree_exec_forward_scratch(d.layout.nodes());
    for (std::int64_t t = begin; t < end; ++t) {
      tree_exec_forward_task(task_of(d, z, columns, t), yhat + t * d.pairs, own_scratch);
    }
  });
}

void tree_exec_backward(const TreeExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace) {
  const std::int64_t pieces = pieces_of(d.tasks, kTaskGrain);
  float* columns = workspace;
  float* parts = columns + columns_size(d);
  float* scratch = parts + pieces * columns_size(d);
  symbols_to_columns(d.pairs, d.layout.symbols, symbols, columns);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t piece = begin / kTaskGrain;
    float* own_scratch = scratch + piece * tree_exec_backward_scratch(d.layout.nodes());
    float* part = dsymbols != nullptr ? parts + piece * columns_size(d) : nullptr;
    if (part != nullptr) std::fill_n(part, columns_size(d), 0.0f);
    for (std::int64_t t = begin; t < end; ++t) {
      float* row = dz != nullptr ? dz + t * d.layout.count() : nullptr;
      const TreeExecTaskGradient gradient{dyhat + t * d.pairs, row != nullptr ? row + d.layout.operators(0) : nullptr,
                                          row != nullptr ? row + d.layout.leaf(0) : nullptr, accumulate_z, part};
      tree_exec_backward_task(task_of(d, z, columns, t), gradient, own_scratch);
    }
  });
  if (dsymbols != nullptr) add_column_parts(d.pairs, d.layout.symbols, pieces, parts, dsymbols, accumulate_symbols);
}

}  // namespace roap::cpu
