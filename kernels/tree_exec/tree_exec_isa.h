#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

// Vector code of tree_exec: one task on all pairs.

namespace roap {

struct TreeExecTask {
  int symbols, inner_nodes;    ///< inner_nodes + 1 leaves
  std::int64_t pairs, stride;  ///< stride: distance between symbol columns, a multiple of 16
  const float* columns;        ///< [symbols, stride]
  const float* operators;      ///< [inner_nodes, 4]
  const float* leaves;         ///< [inner_nodes + 1, symbols]
};

struct TreeExecTaskGradient {
  const float* dyhat;  ///< [pairs]
  float* operators;    ///< both null, or laid out as in TreeExecTask
  float* leaves;
  bool accumulate;
  float* columns;  ///< [symbols, stride], always added to; null: not wanted
};

// Floats of scratch memory, 64-byte aligned, for the widest vector: node values; backward also their gradients.
constexpr std::int64_t tree_exec_forward_scratch(int nodes) { return std::int64_t{16} * nodes; }
constexpr std::int64_t tree_exec_backward_scratch(int nodes) { return std::int64_t{32} * nodes; }

ROAP_ISA_DISPATCH(void, tree_exec_forward_task, (const TreeExecTask& task, float* yhat, float* scratch),
                  (task, yhat, scratch))
ROAP_ISA_DISPATCH(void, tree_exec_backward_task,
                  (const TreeExecTask& task, const TreeExecTaskGradient& gradient, float* scratch),
                  (task, gradient, scratch))

}  // namespace roap
