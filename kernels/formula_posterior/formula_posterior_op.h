#pragma once

#include <memory>
#include <string>

#include "engine/graph.h"
#include "kernels/formula_posterior/formula_posterior.h"

namespace roap {

struct FormulaPosteriorParams {
  std::shared_ptr<const FormulaGraph> formulas;
  bool save_errors = false;  ///< keep [T, K] for the backward pass instead of computing it twice
};

/// Inputs symbols [B, V], y [T, B], sigma [T], temperature [1], floor [1]; outputs loss [1], evidence [T], least_error
/// [T] and, where they are saved, errors [T, K]. Only the loss is differentiable, with respect to the symbols.
class FormulaPosteriorOp : public OpWith<FormulaPosteriorParams> {
 public:
  /// ShapeError when the graph is not in order or has no candidate.
  explicit FormulaPosteriorOp(FormulaPosteriorParams params);
  [[nodiscard]] std::string_view type() const override { return "formula_posterior"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dloss [1], symbols, y, sigma, temperature, floor, evidence, optional errors; output dsymbols.
class FormulaPosteriorBackwardOp : public OpWith<FormulaPosteriorParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "formula_posterior_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Dims from symbols [B, V] and y [T, B].
FormulaPosteriorDims formula_posterior_dims(const FormulaGraph& formulas, const Shape& symbols, const Shape& y);

struct FormulaPosterior {
  TensorId loss;         ///< [1]
  TensorId evidence;     ///< [T]
  TensorId least_error;  ///< [T], error of the best candidate in units of its task's variance
  TensorId errors;       ///< [T, K], absent unless saved
};

/// Appends the marginal likelihood of all tasks over all formulas. Errors are saved for the backward pass while they
/// take at most 64 MiB.
FormulaPosterior formula_posterior(Graph& graph, const std::string& name, TensorId symbols, TensorId y, TensorId sigma,
                                   TensorId temperature, TensorId floor, std::shared_ptr<const FormulaGraph> formulas);

}  // namespace roap
