#pragma once

#include <optional>
#include <string>

#include "engine/graph.h"
#include "kernels/linear/linear.h"

namespace roap {

/// Inputs x [rows, in], w [out, in], optional b [out]; output y [rows, out].
class LinearOp : public Op {
 public:
  explicit LinearOp(ProductMath math = ProductMath::f32) : math_(math) {}
  [[nodiscard]] std::string_view type() const override { return "linear"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] ProductMath math() const { return math_; }

 private:
  ProductMath math_;
};

/// Inputs dy, w; output dx.
class LinearBackwardDataOp : public Op {
 public:
  explicit LinearBackwardDataOp(ProductMath math = ProductMath::f32) : math_(math) {}
  [[nodiscard]] std::string_view type() const override { return "linear_backward_data"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] ProductMath math() const { return math_; }

 private:
  ProductMath math_;
};

/// Inputs dy, x; outputs dw, db.
class LinearBackwardWeightOp : public Op {
 public:
  explicit LinearBackwardWeightOp(ProductMath math = ProductMath::f32) : math_(math) {}
  [[nodiscard]] std::string_view type() const override { return "linear_backward_weight"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] ProductMath math() const { return math_; }

 private:
  ProductMath math_;
};

/// Dims of the three nodes from their inputs (forward: x, w; backward data: dy, w; backward weight: dy, x).
LinearDims linear_dims(const Shape& x, const Shape& w);

/// The user's choices.
struct LinearParams {
  bool bias = true;
  std::optional<Initializer> initial_bias = {};  ///< otherwise as torch.nn.Linear
  ProductMath math = ProductMath::f32;
};

/// Appends y = x w' + b with weights NAME.weight and NAME.bias, initialised like torch.nn.Linear.
TensorId linear(Graph& graph, const std::string& name, TensorId x, std::int64_t out_features,
                const LinearParams& params = {});

}  // namespace roap
