#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/layer_norm/layer_norm.h"

namespace roap {

struct LayerNormParams {
  bool relu = false;
  float epsilon = 1e-5f;
};

/// Inputs x [rows, columns], gamma [columns], beta [columns]; outputs y [rows, columns] and, saved, mean [rows], rstd
/// [rows].
class LayerNormOp : public OpWith<LayerNormParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "layer_norm"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] LayerNormDims dims(const Shape& x) const { return {x[0], x[1], params().relu, params().epsilon}; }
};

/// Inputs dy, y (absent without relu), x, gamma, mean, rstd; outputs dx, dgamma, dbeta.
class LayerNormBackwardOp : public OpWith<LayerNormParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "layer_norm_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t output) const override { return output == 0; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] LayerNormDims dims(const Shape& x) const { return LayerNormOp(params()).dims(x); }
};

/// Appends layer normalisation over the columns of x [rows, columns], with ReLU on request, with weights NAME.weight
/// (ones) and NAME.bias (zeros).
TensorId layer_norm(Graph& graph, const std::string& name, TensorId x, bool relu);

}  // namespace roap
