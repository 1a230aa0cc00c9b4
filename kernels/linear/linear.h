#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/product_math.h"

// Linear (fully connected) layer: y[r, o] = sum_i x[r, i] w[o, i] + b[o].
// Gradients: dx = dy w;  dw = dy' x;  db = column sums of dy.

namespace roap {

struct LinearDims {
  std::int64_t rows = 0, in = 0, out = 0;
};

namespace cpu {

/// x [rows, in], w [out, in], b [out] or null -> y [rows, out].
void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y);
/// dy [rows, out], w [out, in] -> dx [rows, in]; added to dx when `accumulate`.
void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate);
/// dy [rows, out], x [rows, in] -> dw [out, in], db [out] or null.
void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device; db is summed in f32 whatever `math` says.
void linear_forward(const LinearDims& d, ProductMath math, const float* x, const float* w, const float* b, float* y,
                    Stream stream);
void linear_backward_data(const LinearDims& d, ProductMath math, const float* dy, const float* w, float* dx,
                          bool accumulate, Stream stream);
void linear_backward_weight(const LinearDims& d, ProductMath math, const float* dy, const float* x, float* dw,
                            float* db, Stream stream);
/// Its second part: dy [rows, out] -> db [out].
void linear_backward_bias(const LinearDims& d, const float* dy, float* db, Stream stream);

/// The same by cuBLASLt in f32, to compare ours with. Only in builds with ROAP_HAS_CUBLASLT. `workspace`:
/// kWorkspaceBytes of device memory, aligned to 256 bytes.
namespace cublaslt {

inline constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y, std::byte* workspace,
                    Stream stream);
void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                          std::byte* workspace, Stream stream);
void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db,
                            std::byte* workspace, Stream stream);

}  // namespace cublaslt
}  // namespace cuda
}  // namespace roap
