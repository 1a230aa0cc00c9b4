#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/sketch_layout.h"

// Executes the soft straight-line program of every task on every pair. The first `symbols` values are the pair's
// symbols; line l appends v = add (A + B) + sub (A - B) + mul A B + noop A, where A and B are mixtures of all earlier
// values with the line's left and right weights; the output is the last line. The weights z are arbitrary numbers:
// nothing assumes that a group sums to one. Overflow gives inf or NaN and flows on. Gradients: with g = dv of a line,
// dA = g (add + sub + noop + mul B), dB = g (add - sub + mul A), dleft_a = sum over the pairs of dA v_a, and dv_a +=
// left_a dA + right_a dB; likewise for the right side and the operator weights.

namespace roap {

struct SoftExecDims {
  std::int64_t tasks = 0, pairs = 0;
  StraightLineLayout layout;
};

namespace cpu {

std::size_t soft_exec_forward_workspace(const SoftExecDims& d);
std::size_t soft_exec_backward_workspace(const SoftExecDims& d);

/// z [T, P], symbols [B, V] -> yhat [T, B].
void soft_exec_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace);

/// dyhat [T, B], z [T, P], symbols [B, V] -> dz [T, P] and dsymbols [B, V]; each may be null, each is added to when its
/// flag says so.
void soft_exec_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace);

}  // namespace cpu

namespace cuda {

std::size_t soft_exec_forward_workspace(const SoftExecDims& d);
std::size_t soft_exec_backward_workspace(const SoftExecDims& d);

/// As in cpu, on the device.
void soft_exec_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat, float* workspace,
                       Stream stream);
void soft_exec_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols, float* dz,
                        bool accumulate_z, float* dsymbols, bool accumulate_symbols, float* workspace, Stream stream);

/// The launchers use kernels that keep all values in registers for the layouts of soft_exec_unrolled, and these for all
/// others. `parts` gets dsymbols of every task [T, B, V].
bool soft_exec_unrolled(const StraightLineLayout& layout);
std::size_t soft_exec_general_workspace(const SoftExecDims& d, bool backward);
void soft_exec_general_forward(const SoftExecDims& d, const float* z, const float* symbols, float* yhat,
                               float* workspace, Stream stream);
void soft_exec_general_backward(const SoftExecDims& d, const float* dyhat, const float* z, const float* symbols,
                                float* dz, bool accumulate_z, float* parts, float* workspace, Stream stream);

}  // namespace cuda
}  // namespace roap
