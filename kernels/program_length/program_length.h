#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/sketch_layout.h"

// Expected length of every task's program, written out as a tree. Symbols have length 0; a line or inner node with
// operator weights o and arguments of lengths A and B has (add + sub + mul) (1 + A + B) + noop A. An argument of a
// straight-line program has the mixture of the lengths of the values it may choose; children of a tree node have their
// own lengths, leaves 0. Gradients: with g = dlength of a line, dA = g (add + sub + mul + noop), dB = g (add + sub +
// mul), and both pass to the earlier lines like the values in soft_exec.

namespace roap::cpu {

std::size_t program_length_workspace(const StraightLineLayout& layout, std::int64_t tasks);
std::size_t program_length_workspace(const TreeLayout& layout, std::int64_t tasks);

/// z [T, P] -> length [T].
void program_length_forward(const StraightLineLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace);
void program_length_forward(const TreeLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace);

/// dlength [T], z [T, P] -> dz [T, P]; added to dz when `accumulate`.
void program_length_backward(const StraightLineLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace);
void program_length_backward(const TreeLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace);

}  // namespace roap::cpu

namespace roap::cuda {

std::size_t program_length_workspace(const StraightLineLayout& layout, std::int64_t tasks);
std::size_t program_length_workspace(const TreeLayout& layout, std::int64_t tasks);

/// As in cpu, on the device.
void program_length_forward(const StraightLineLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace, Stream stream);
void program_length_forward(const TreeLayout& layout, std::int64_t tasks, const float* z, float* length,
                            float* workspace, Stream stream);

void program_length_backward(const StraightLineLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace, Stream stream);
void program_length_backward(const TreeLayout& layout, std::int64_t tasks, const float* dlength, const float* z,
                             float* dz, bool accumulate, float* workspace, Stream stream);

}  // namespace roap::cuda
