#include "kernels/linear/linear_cublaslt.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "kernels/common/check_cuda.h"
#include "kernels/common/error.h"
#include "kernels/common/handle.h"

// cuBLASLt counts elements of matrices by columns: a row-major [r, c] matrix of ours is its transpose [c, r] there, and
// y = x w' is computed as y' = w x'.

namespace roap::cuda::cublaslt {

namespace {

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("[cublaslt] cannot {}: {}; device.linear=own does without cuBLASLt", what,
                                cublasLtGetStatusString(status)));
}

/// Never destroyed: CUDA may be gone before static objects are.
cublasLtHandle_t cublaslt() {
  static const cublasLtHandle_t handle = [] {
    cublasLtHandle_t created = nullptr;
    check(cublasLtCreate(&created), "start");
    return created;
  }();
  return handle;
}

using Product = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;
using Event = Handle<cudaEvent_t, cudaEventDestroy>;
using Memory = Handle<void*, cudaFree>;
using Algorithm = cublasLtMatmulHeuristicResult_t;

/// A packed f32 matrix as cuBLASLt counts it.
struct Matrix {
  std::int64_t rows, columns;
  bool transposed = false;  ///< whether its transpose is multiplied
  [[nodiscard]] Layout layout() const {
    Layout layout;
    check(cublasLtMatrixLayoutCreate(layout.address(), CUDA_R_32F, static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(columns), rows),
          "describe a matrix");
    return layout;
  }
  [[nodiscard]] cublasOperation_t operation() const { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }
};

/// result = a b of one pass: a is the second operand of LinearPlan::run, b the first.
struct Matrices {
  Matrix a, b;
  [[nodiscard]] Matrix result() const { return {a.transposed ? a.columns : a.rows, b.transposed ? b.rows : b.columns}; }
};

Matrices matrices_of(LinearPass pass, const LinearDims& d) {
  if (pass == LinearPass::forward) return {{d.in, d.out, true}, {d.in, d.rows}};
  if (pass == LinearPass::backward_data) return {{d.in, d.out}, {d.out, d.rows}};
  return {{d.in, d.rows}, {d.out, d.rows, true}};
}

template <class T>
void set(const Product& product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(product.get(), attribute, &value, sizeof value), "describe a product");
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value), "describe a product");
}

/// The largest power of two, up to 256, that divides the address.
std::uint32_t alignment_of(const void* data) {
  constexpr int kMost = 8;
  return 1u << std::min(kMost, std::countr_zero(reinterpret_cast<std::uintptr_t>(data)));
}

class CublasLtPlan : public LinearPlan {
 public:
  CublasLtPlan(const Matrices& matrices, ProductMath math, AlgorithmChoice choice)
      : choice_(choice),
        of_a_(matrices.a.layout()),
        of_b_(matrices.b.layout()),
        of_result_(matrices.result().layout()),
        result_bytes_(sizeof(float) * static_cast<std::size_t>(matrices.result().rows * matrices.result().columns)) {
    const cublasComputeType_t compute = math == ProductMath::bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(product_.address(), compute, CUDA_R_32F), "describe a product");
    set(product_, CUBLASLT_MATMUL_DESC_TRANSA, matrices.a.operation());
    set(product_, CUBLASLT_MATMUL_DESC_TRANSB, matrices.b.operation());
  }

  void run(const float* a, const float* b, const float* bias, float* result, bool accumulate, std::byte* workspace,
           Stream stream) override {
    if (bias != nullptr) {
      set(product_, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(product_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    const Operands operands{b, a, workspace, stream};  // ours are the transposes, in the other order
    if (!algorithm_) choose(operands, result);
    check(multiply(operands, result, accumulate, *algorithm_), "multiply matrices");
  }

 private:
  struct Operands {
    const float *a, *b;
    std::byte* workspace;
    Stream stream;
  };

  cublasStatus_t multiply(const Operands& o, float* result, bool accumulate, const Algorithm& algorithm) const {
    const float one = 1, beta = accumulate ? 1.0f : 0.0f;
    return cublasLtMatmul(cublaslt(), product_.get(), &one, o.a, of_a_.get(), o.b, of_b_.get(), &beta, result,
                          of_result_.get(), result, of_result_.get(), &algorithm.algo, o.workspace, kWorkspaceBytes,
                          o.stream);
  }

  /// In the library's order, best first.
  [[nodiscard]] std::vector<Algorithm> candidates(const Operands& o, const float* result) const {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(preference.address()), "describe a product");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(o.a));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(o.b));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(result));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(result));
    if (choice_ == AlgorithmChoice::estimated) {
      // Partial sums, where there are any, are kept apart and added in order.
      set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
          std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    }
    constexpr int kTried = 8;
    std::vector<Algorithm> found(choice_ == AlgorithmChoice::measured ? kTried : 1);
    int count = 0;
    check(cublasLtMatmulAlgoGetHeuristic(cublaslt(), product_.get(), of_a_.get(), of_b_.get(), of_result_.get(),
                                         of_result_.get(), preference.get(), static_cast<int>(found.size()),
                                         found.data(), &count),
          "find an algorithm for a product");
    found.resize(static_cast<std::size_t>(count));
    if (found.empty()) {
      throw DeviceError("[cublaslt] has no algorithm for a product of this model; set device.linear=own");
    }
    return found;
  }

  void choose(const Operands& o, const float* result) {
    const std::vector<Algorithm> found = candidates(o, result);
    algorithm_ = found.size() == 1 ? found.front() : fastest(o, found);
  }

  [[nodiscard]] Algorithm fastest(const Operands& o, std::span<const Algorithm> candidates) const {
    Memory result;
    check_cuda(cudaMalloc(result.address(), result_bytes_), "allocate the result of a product that is tried");
    Algorithm best = candidates.front();
    float least = std::numeric_limits<float>::infinity();
    for (const Algorithm& candidate : candidates) {
      const float time = milliseconds(o, static_cast<float*>(result.get()), candidate);
      if (time < least) best = candidate;
      least = std::min(least, time);
    }
    return best;
  }

  /// Of several runs after a first one; infinite for an algorithm that refuses these operands.
  [[nodiscard]] float milliseconds(const Operands& o, float* result, const Algorithm& algorithm) const {
    if (multiply(o, result, false, algorithm) != CUBLAS_STATUS_SUCCESS) return std::numeric_limits<float>::infinity();
    constexpr int kRuns = 10;
    Event begin, end;
    check_cuda(cudaEventCreate(begin.address()), "time a product");
    check_cuda(cudaEventCreate(end.address()), "time a product");
    check_cuda(cudaEventRecord(begin.get(), o.stream), "time a product");
    for (int i = 0; i < kRuns; ++i) check(multiply(o, result, false, algorithm), "multiply matrices");
    check_cuda(cudaEventRecord(end.get(), o.stream), "time a product");
    check_cuda(cudaEventSynchronize(end.get()), "time a product");
    float time = 0;
    check_cuda(cudaEventElapsedTime(&time, begin.get(), end.get()), "time a product");
    return time;
  }

  AlgorithmChoice choice_;
  Product product_;
  Layout of_a_, of_b_, of_result_;
  std::size_t result_bytes_;
  std::optional<Algorithm> algorithm_;
};

void run_once(LinearPass pass, const LinearDims& d, const float* a, const float* b, const float* bias, float* result,
              bool accumulate, std::byte* workspace, Stream stream) {
  CublasLtPlan(matrices_of(pass, d), ProductMath::f32, AlgorithmChoice::estimated)
      .run(a, b, bias, result, accumulate, workspace, stream);
}

}  // namespace

std::unique_ptr<LinearPlan> linear_plan(LinearPass pass, const LinearDims& d, ProductMath math,
                                        AlgorithmChoice choice) {
  return std::make_unique<CublasLtPlan>(matrices_of(pass, d), math, choice);
}

void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y, std::byte* workspace,
                    Stream stream) {
  run_once(LinearPass::forward, d, x, w, b, y, false, workspace, stream);
}

void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                          std::byte* workspace, Stream stream) {
  run_once(LinearPass::backward_data, d, dy, w, nullptr, dx, accumulate, workspace, stream);
}

void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db,
                            std::byte* workspace, Stream stream) {
  run_once(LinearPass::backward_weight, d, dy, x, nullptr, dw, false, workspace, stream);
  if (db != nullptr) linear_backward_bias(d, dy, db, stream);
}

}  // namespace roap::cuda::cublaslt
