#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

namespace roap::cpu {

/// Floats that multiply_add_peak() writes at most.
inline constexpr std::int64_t kMultiplyAddSums = 12 * 16;

/// Multiplies and adds `rounds` times in all vector registers, from registers alone: what no product can exceed. Writes
/// its sums, so that they are computed; returns the number of floating-point operations.
ROAP_ISA_DISPATCH(std::int64_t, multiply_add_peak, (std::int64_t rounds, float* sums), (rounds, sums))

}  // namespace roap::cpu
