#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/gradient_guard/gradient_guard.h"

namespace roap {

/// Inputs loss [1], gradients [N]; output guard [2]: finite (1 or 0), norm of the gradients. No gradient.
class GradientGuardOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "gradient_guard"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Appends the check of a step's loss [1] and flat gradients [N]; returns guard [2].
TensorId gradient_guard(Graph& graph, const std::string& name, TensorId loss, TensorId gradients);

}  // namespace roap
