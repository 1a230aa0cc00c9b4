#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/gumbel_softmax/gumbel_softmax.h"

namespace roap {

/// Inputs logits [T, P], sharpness [1], key u32 [4] (the words of a RandomKey); output z [T, P].
class GumbelSoftmaxOp : public Op {
 public:
  explicit GumbelSoftmaxOp(GumbelSoftmaxParams params) : params_(std::move(params)) {}
  [[nodiscard]] const GumbelSoftmaxParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "gumbel_softmax"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  GumbelSoftmaxParams params_;
};

/// Inputs dz, logits, sharpness, key, z; output dlogits. Straight-through needs logits and key, the relaxed sample z;
/// the others are absent.
class GumbelSoftmaxBackwardOp : public Op {
 public:
  explicit GumbelSoftmaxBackwardOp(GumbelSoftmaxParams params) : params_(std::move(params)) {}
  [[nodiscard]] const GumbelSoftmaxParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "gumbel_softmax_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  GumbelSoftmaxParams params_;
};

/// Dims from logits (or z) [T, P].
GumbelSoftmaxDims gumbel_softmax_dims(const Shape& logits);

/// Appends z = softmax((logits + Gumbel) sharpness) per group.
TensorId gumbel_softmax(Graph& graph, const std::string& name, TensorId logits, TensorId sharpness, TensorId key,
                        GumbelSoftmaxParams params);

}  // namespace roap
