#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

// Vector code of soft_exec: one task on all pairs.

namespace roap {

struct SoftExecTask {
  int symbols, lines;
  std::int64_t pairs, stride;  ///< stride: distance between symbol columns, a multiple of 16
  const float* columns;        ///< [symbols, stride]
  const float* operators;      ///< [lines, 4]
  const float* left;           ///< ragged: symbols + l weights of line l
  const float* right;
};

struct SoftExecTaskGradient {
  const float* dyhat;  ///< [pairs]
  float* operators;    ///< all three null, or laid out as in SoftExecTask
  float* left;
  float* right;
  bool accumulate;
  float* columns;  ///< [symbols, stride], always added to; null: not wanted
};

// Floats of scratch memory, 64-byte aligned: for the widest tile (64 pairs) all values; backward also both arguments,
// the gradients of the values, and one vector per weight of a line before its lanes are added.
constexpr std::int64_t kSoftExecTilePairs = 64;
constexpr std::int64_t soft_exec_forward_scratch(int symbols, int lines) {
  return kSoftExecTilePairs * (symbols + lines);
}
constexpr std::int64_t soft_exec_backward_scratch(int symbols, int lines) {
  const std::int64_t values = symbols + lines;
  return kSoftExecTilePairs * (2 * values + 2 * lines) + 17 * (2 * values + 4 + 16);
}

ROAP_ISA_DISPATCH(void, soft_exec_forward_task, (const SoftExecTask& task, float* yhat, float* scratch),
                  (task, yhat, scratch))
ROAP_ISA_DISPATCH(void, soft_exec_backward_task,
                  (const SoftExecTask& task, const SoftExecTaskGradient& gradient, float* scratch),
                  (task, gradient, scratch))

}  // namespace roap
