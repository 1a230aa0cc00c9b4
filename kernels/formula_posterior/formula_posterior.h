#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/common/cuda_types.h"
#include "kernels/formula_posterior/formula_operator.h"

// Exact marginal likelihood of T tasks over K formulas of the symbols. Every formula k is evaluated on every pair,
//   error_tk = mean over the pairs of (F_kb - y_tb)^2 / sigma_t^2,
//   score_tk = -log(error_tk + floor) / temperature - penalty_k,
//   loss = -temperature / T * sum_t evidence_t,  evidence_t = log sum_k exp score_tk.
// At a high temperature every formula that explains y a little pulls the symbols, at a low one only the best. Gradient:
// with the posterior p_tk = exp(score_tk - evidence_t) and w_tk = p_tk / (error_tk + floor) * 2 / (B sigma_t^2),
//   dF_kb = dloss / T * sum_t w_tk (F_kb - y_tb), and on through the formulas to the symbols.
// Errors are sums of squared differences, not of products that cancel: their relative error is below (B + 3) 2^-24, as
// small beside a floor of 1e-3 as anywhere.

namespace roap {

/// Formulas as a graph: the first `symbols` entries are the symbols, each other one an operator over two earlier ones.
/// What several formulas share is computed once.
struct FormulaGraph {
  int symbols = 0;
  std::vector<FormulaOperator> op;
  std::vector<std::int32_t> left, right;
  std::vector<float> penalty;  ///< -log of the prior; infinite: computed for others, but no candidate itself

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(op.size()); }
};

struct FormulaPosteriorDims {
  std::int64_t tasks = 0, pairs = 0;
  const FormulaGraph* formulas = nullptr;
};

namespace cpu {

/// Bytes of workspace: values of all formulas twice (as rows and as panels), and backward their gradients.
std::size_t formula_posterior_forward_workspace(const FormulaPosteriorDims& d);
std::size_t formula_posterior_backward_workspace(const FormulaPosteriorDims& d);

/// symbols [B, V], y [T, B], sigma [T], temperature [1], floor [1] -> loss [1], evidence [T], least_error [T] (over the
/// candidates), errors [T, K] or null.
void formula_posterior_forward(const FormulaPosteriorDims& d, const float* symbols, const float* y, const float* sigma,
                               const float* temperature, const float* floor, float* loss, float* evidence,
                               float* least_error, float* errors, float* workspace);
/// The same, evidence, errors [T, K] (null: computed again) and dloss [1] -> dsymbols [B, V]; added to it when
/// `accumulate`.
void formula_posterior_backward(const FormulaPosteriorDims& d, const float* dloss, const float* symbols, const float* y,
                                const float* sigma, const float* temperature, const float* floor, const float* evidence,
                                const float* errors, float* dsymbols, bool accumulate, float* workspace);

}  // namespace cpu

namespace cuda {

struct FormulaTables;  // formula_schedule.h

std::size_t formula_posterior_forward_workspace(const FormulaPosteriorDims& d);
/// With the errors that the backward pass computes again where they are not saved.
std::size_t formula_posterior_backward_workspace(const FormulaPosteriorDims& d, bool errors_saved);

/// As in cpu, on the device, where `tables` are; forward with one counter (kernels/common/last_block.cuh).
void formula_posterior_forward(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* symbols,
                               const float* y, const float* sigma, const float* temperature, const float* floor,
                               float* loss, float* evidence, float* least_error, float* errors, unsigned* counter,
                               std::byte* workspace, Stream stream);
void formula_posterior_backward(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* dloss,
                                const float* symbols, const float* y, const float* sigma, const float* temperature,
                                const float* floor, const float* evidence, const float* errors, float* dsymbols,
                                bool accumulate, std::byte* workspace, Stream stream);

/// Steps of both: symbols [B, V] -> values [B, K] of all formulas.
void formula_values(const FormulaPosteriorDims& d, const FormulaTables& tables, const float* symbols, float* values,
                    Stream stream);
/// values [B, K] and gradients of the loss by them, in `parts` parts [parts, B, K] which it overwrites -> dsymbols
/// [B, V].
void formula_sweep(const FormulaPosteriorDims& d, const FormulaTables& tables, std::int64_t parts, const float* values,
                   float* gradients, float* dsymbols, bool accumulate, Stream stream);

}  // namespace cuda
}  // namespace roap
