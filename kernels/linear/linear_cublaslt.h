#pragma once

#include <cstdint>
#include <memory>

#include "kernels/common/algorithm_choice.h"
#include "kernels/linear/linear.h"

// The products of cuda::cublaslt (linear.h) prepared for their sizes. Only in builds with ROAP_HAS_CUBLASLT.

namespace roap::cuda::cublaslt {

enum class LinearPass : std::uint8_t { forward, backward_data, backward_weight };

/// One pass for its sizes. Not for concurrent runs.
class LinearPlan {
 public:
  LinearPlan() = default;
  LinearPlan(const LinearPlan&) = delete;
  LinearPlan& operator=(const LinearPlan&) = delete;
  virtual ~LinearPlan() = default;
  /// forward:         a = x [rows, in],   b = w [out, in], bias [out] or null -> result = y [rows, out]
  /// backward_data:   a = dy [rows, out], b = w [out, in]  -> result = dx [rows, in], added where `accumulate`
  /// backward_weight: a = dy [rows, out], b = x [rows, in] -> result = dw [out, in]
  /// The first run picks the algorithm and must not be recorded; later ones have operands aligned as well as its own,
  /// and a bias if it had one. `workspace`: kWorkspaceBytes of device memory, aligned to 256 bytes. Throws DeviceError
  /// where cuBLASLt has no algorithm.
  virtual void run(const float* a, const float* b, const float* bias, float* result, bool accumulate,
                   std::byte* workspace, Stream stream) = 0;
};

/// Products in f32, without TF32, or with operands rounded to bf16; sums in f32.
std::unique_ptr<LinearPlan> linear_plan(LinearPass pass, const LinearDims& d, ProductMath math, AlgorithmChoice choice);

}  // namespace roap::cuda::cublaslt
