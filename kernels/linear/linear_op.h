#pragma once

#include <optional>
#include <string>

#include "engine/graph.h"
#include "kernels/linear/linear.h"

namespace roap {

/// Inputs x [rows, in], w [out, in], optional b [out]; output y [rows, out].
class LinearOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "linear"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, w; output dx.
class LinearBackwardDataOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "linear_backward_data"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, x; outputs dw, db.
class LinearBackwardWeightOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "linear_backward_weight"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Dims of the three nodes from their inputs (forward: x, w; backward data: dy, w; backward weight: dy, x).
LinearDims linear_dims(const Shape& x, const Shape& w);

/// Appends y = x w' + b with weights NAME.weight (and NAME.bias unless without), initialised like torch.nn.Linear, or
/// the bias by `bias`.
TensorId linear(Graph& graph, const std::string& name, TensorId x, std::int64_t out_features, bool with_bias = true,
                std::optional<Initializer> bias = {});

}  // namespace roap
