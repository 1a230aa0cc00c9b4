#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/sketch_layout.h"

// Executes the soft syntax tree of every task on every pair. A leaf is a mixture of the pair's symbols; an inner node
// with children A (left) and B (right) has the value add (A + B) + sub (A - B) + mul A B + noop A; the output is the
// root. The weights z are arbitrary numbers: nothing assumes that a group sums to one. Gradients: with g = dv of an
// inner node, dA = g (add + sub + noop + mul B), dB = g (add - sub + mul A); a leaf's weight of symbol j receives the
// sum of g s_j over the pairs.

namespace roap {

struct TreeExecDims {
  std::int64_t tasks = 0, pairs = 0;
  TreeLayout layout;
};

namespace cpu {

std::size_t tree_exec_forward_workspace(const TreeExecDims& d);
std::size_t tree_exec_backward_workspace(const TreeExecDims& d);

/// z [T, P], symbols [B, V] -> yhat [T, B].
void tree_exec_forward(const TreeExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace);

/// dyhat [T, B], z [T, P], symbols [B, V] -> dz [T, P] and dsymbols [B, V]; each may be null, each is added to when its
/// flag says so.
void tree_exec_backward(const TreeExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace);

}  // namespace cpu

namespace cuda {

std::size_t tree_exec_forward_workspace(const TreeExecDims& d);
std::size_t tree_exec_backward_workspace(const TreeExecDims& d);

/// As in cpu, on the device.
void tree_exec_forward(const TreeExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace,
                       Stream stream);
void tree_exec_backward(const TreeExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace, Stream stream);

}  // namespace cuda
}  // namespace roap
