#include "kernels/soft_exec/soft_exec.h"

#include "kernels/common/pair_columns.h"
#include "kernels/soft_exec/soft_exec_isa.h"

// Computes: soft execution of straight-line programs and its gradients. Mapping: a piece owns kTaskGrain tasks and runs
// them one by one, tiles of up to 64 pairs in vector lanes. Memory: reads z and the symbols, backward runs the program
// again rather than store 3 (V + L) values per pair; one partial sum of dsymbols per piece. Numerics: f32; pairs are
// added lane by lane, then lanes pairwise, then tiles in order; tasks in order within a piece, then pieces in order.

namespace roap::cpu {

namespace {

constexpr std::int64_t kTaskGrain = 8;

struct Sizes {
  std::int64_t columns, forward_scratch, backward_scratch, pieces;
};

Sizes sizes_of(const SoftExecDims& d) {
  const auto padded = [](std::int64_t count) { return column_stride(count); };
  return {d.layout.symbols * column_stride(d.pairs),
          padded(soft_exec_forward_scratch(d.layout.symbols, d.layout.lines)),
          padded(soft_exec_backward_scratch(d.layout.symbols, d.layout.lines)), pieces_of(d.tasks, kTaskGrain)};
}

SoftExecTask task_of(const SoftExecDims& d, const float* z, const float* columns, std::int64_t task) {
  const float* row = z + task * d.layout.count();
  return {d.layout.symbols,
          d.layout.lines,
          d.pairs,
          column_stride(d.pairs),
          columns,
          row + d.layout.operators(0),
          row + d.layout.left(0),
          row + d.layout.right(0)};
}

}  // namespace

std::size_t soft_exec_forward_workspace(const SoftExecDims& d) {
  const Sizes sizes = sizes_of(d);
  return sizeof(float) * static_cast<std::size_t>(sizes.columns + sizes.pieces * sizes.forward_scratch);
}

std::size_t soft_exec_backward_workspace(const SoftExecDims& d) {
  const Sizes sizes = sizes_of(d);
  return sizeof(float) *
         static_cast<std::size_t>(sizes.columns + sizes.pieces * (sizes.columns + sizes.backward_scratch));
}

void soft_exec_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace) {
  const Sizes sizes = sizes_of(d);
  float* columns = workspace;
  float* scratch = columns + sizes.columns;
  symbols_to_columns(d.pairs, d.layout.symbols, symbols, columns);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t piece = begin / kTaskGrain;
    for (std::int64_t t = begin; t < end; ++t) {
      soft_exec_forward_task(task_of(d, z, columns, t), yhat + t * d.pairs, scratch + piece * sizes.forward_scratch);
    }
  });
}

void soft_exec_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace) {
  const Sizes sizes = sizes_of(d);
  float* columns = workspace;
  float* parts = columns + sizes.columns;
  float* scratch = parts + sizes.pieces * sizes.columns;
  symbols_to_columns(d.pairs, d.layout.symbols, symbols, columns);
  parallel_ranges(d.tasks, kTaskGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t piece = begin / kTaskGrain;
    float* part = dsymbols != nullptr ? parts + piece * sizes.columns : nullptr;
    if (part != nullptr) std::fill_n(part, sizes.columns, 0.0f);
    for (std::int64_t t = begin; t < end; ++t) {
      SoftExecTaskGradient gradient{dyhat + t * d.pairs, nullptr, nullptr, nullptr, accumulate_z, part};
      if (dz != nullptr) {
        float* row = dz + t * d.layout.count();
        gradient.operators = row + d.layout.operators(0);
        gradient.left = row + d.layout.left(0);
        gradient.right = row + d.layout.right(0);
      }
      soft_exec_backward_task(task_of(d, z, columns, t), gradient, scratch + piece * sizes.backward_scratch);
    }
  });
  if (dsymbols != nullptr) {
    add_column_parts(d.pairs, d.layout.symbols, sizes.pieces, parts, dsymbols, accumulate_symbols);
  }
}

}  // namespace roap::cpu
