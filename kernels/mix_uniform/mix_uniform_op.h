#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/mix_uniform/mix_uniform.h"

namespace roap {

/// Inputs logits [T, P], share [1]; output mixed [T, P].
class MixUniformOp : public Op {
 public:
  explicit MixUniformOp(MixUniformParams params) : params_(std::move(params)) {}
  [[nodiscard]] const MixUniformParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "mix_uniform"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  MixUniformParams params_;
};

/// Inputs dmixed, logits, share; output dlogits.
class MixUniformBackwardOp : public Op {
 public:
  explicit MixUniformBackwardOp(MixUniformParams params) : params_(std::move(params)) {}
  [[nodiscard]] const MixUniformParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "mix_uniform_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  MixUniformParams params_;
};

/// Dims from logits [T, P].
MixUniformDims mix_uniform_dims(const Shape& logits);

/// Appends the mixture of every choice with the uniform one.
TensorId mix_uniform(Graph& graph, const std::string& name, TensorId logits, TensorId share, MixUniformParams params);

}  // namespace roap
