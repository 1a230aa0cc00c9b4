#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/program_length/program_length.h"

namespace roap {

/// Input z [T, P]; output length [T].
class ProgramLengthOp : public OpWith<SketchLayout> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "program_length"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dlength [T], z [T, P]; output dz.
class ProgramLengthBackwardOp : public OpWith<SketchLayout> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "program_length_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Appends the expected tree-expanded length of every task's program: length [T].
TensorId program_length(Graph& graph, const std::string& name, TensorId z, SketchLayout layout);

}  // namespace roap
