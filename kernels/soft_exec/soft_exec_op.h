#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/soft_exec/soft_exec.h"

namespace roap {

/// Inputs z [T, P], symbols [B, V]; output yhat [T, B].
class SoftExecOp : public OpWith<StraightLineLayout> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "soft_exec"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dyhat [T, B], z [T, P], symbols [B, V]; outputs dz, dsymbols.
class SoftExecBackwardOp : public OpWith<StraightLineLayout> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "soft_exec_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Dims from z [T, P] and symbols [B, V].
SoftExecDims soft_exec_dims(const StraightLineLayout& layout, const Shape& z, const Shape& symbols);

/// Appends the execution of every task's soft straight-line program on every pair: yhat [T, B].
TensorId soft_exec(Graph& graph, const std::string& name, TensorId z, TensorId symbols, StraightLineLayout layout);

}  // namespace roap
