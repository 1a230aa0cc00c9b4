#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/adam_step/adam_step.h"

namespace roap {

/// Inputs weights, gradients, moment1, moment2 [N], step [1], guard [2], rates [2]; outputs weights, moment1, moment2,
/// step, usually the same tensors. No gradient.
class AdamStepOp : public OpWith<AdamParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "adam_step"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  /// As launchers take them.
  [[nodiscard]] static AdamInputs inputs(const RunContext& context);
  [[nodiscard]] static AdamOutputs outputs(const RunContext& context);
};

struct AdamTensors {
  TensorId weights, gradients, moment1, moment2;  ///< [N]
  TensorId step;                                  ///< [1], updates applied so far
  TensorId guard;                                 ///< [2], of gradient_guard
  TensorId rates;                                 ///< [2], before and from the boundary
};

/// Appends the update of weights, moments and step in place.
void adam_step(Graph& graph, const std::string& name, const AdamTensors& tensors, AdamParams params);

}  // namespace roap
