#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "kernels/common/error.h"
#include "kernels/common/handle.h"
#include "kernels/linear/linear.h"

// Linear layers by cuBLASLt. It counts elements of matrices by columns: a row-major [r, c] matrix of ours is its
// transpose [c, r] there, and y = x w' is computed as y' = w x'.

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

/// A packed f32 matrix as cuBLASLt counts it.
struct Matrix {
  const float* data;
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
  /// The largest power of two, up to 256, that divides the address.
  [[nodiscard]] std::uint32_t alignment() const {
    constexpr int kMost = 8;
    return 1u << std::min(kMost, std::countr_zero(reinterpret_cast<std::uintptr_t>(data)));
  }
};

template <class T>
void set(const Product& product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(product.get(), attribute, &value, sizeof value), "describe a product");
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value), "describe a product");
}

/// Products and sums in f32 (no TF32); `bias`, if any, is added to every column of the result.
Product describe_product(const Matrix& a, const Matrix& b, const float* bias) {
  Product product;
  check(cublasLtMatmulDescCreate(product.address(), CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
  set(product, CUBLASLT_MATMUL_DESC_TRANSA, a.operation());
  set(product, CUBLASLT_MATMUL_DESC_TRANSB, b.operation());
  if (bias != nullptr) {
    set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  return product;
}

/// result = a b + bias, or result += a b.
void multiply(const Matrix& a, const Matrix& b, float* result, const float* bias, bool accumulate, std::byte* workspace,
              Stream stream) {
  const Matrix target{result, a.transposed ? a.columns : a.rows, b.transposed ? b.rows : b.columns};
  const Product product = describe_product(a, b, bias);
  const Layout of_a = a.layout(), of_b = b.layout(), of_target = target.layout();

  Preference preference;
  check(cublasLtMatmulPreferenceCreate(preference.address()), "describe a product");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a.alignment());
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b.alignment());
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, target.alignment());
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, target.alignment());
  // Partial sums, where there are any, are kept apart and added in order.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});

  cublasLtMatmulHeuristicResult_t algorithm{};
  int found = 0;
  check(cublasLtMatmulAlgoGetHeuristic(cublaslt(), product.get(), of_a.get(), of_b.get(), of_target.get(),
                                       of_target.get(), preference.get(), 1, &algorithm, &found),
        "find an algorithm for a product");
  if (found == 0) throw DeviceError("[cublaslt] has no algorithm for a product of this model; set device.linear=own");
  const float one = 1, beta = accumulate ? 1.0f : 0.0f;
  check(cublasLtMatmul(cublaslt(), product.get(), &one, a.data, of_a.get(), b.data, of_b.get(), &beta, result,
                       of_target.get(), result, of_target.get(), &algorithm.algo, workspace, kWorkspaceBytes, stream),
        "multiply matrices");
}

}  // namespace

void linear_forward(const LinearDims& d, const float* x, const float* w, const float* b, float* y, std::byte* workspace,
                    Stream stream) {
  multiply({w, d.in, d.out, true}, {x, d.in, d.rows}, y, b, false, workspace, stream);
}

void linear_backward_data(const LinearDims& d, const float* dy, const float* w, float* dx, bool accumulate,
                          std::byte* workspace, Stream stream) {
  multiply({w, d.in, d.out}, {dy, d.out, d.rows}, dx, nullptr, accumulate, workspace, stream);
}

void linear_backward_weight(const LinearDims& d, const float* dy, const float* x, float* dw, float* db,
                            std::byte* workspace, Stream stream) {
  multiply({x, d.in, d.rows}, {dy, d.out, d.rows, true}, dw, nullptr, false, workspace, stream);
  if (db != nullptr) linear_backward_bias(d, dy, db, stream);
}

}  // namespace roap::cuda::cublaslt
