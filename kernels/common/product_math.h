#pragma once

#include <cstdint>

namespace roap {

/// How the CUDA device multiplies matrices that are stored in f32: on CUDA cores in f32, or on tensor cores with
/// operands rounded to bf16 and sums in f32. The cpu device computes in f32 whatever this says.
enum class ProductMath : std::uint8_t { f32, bf16 };

}  // namespace roap
