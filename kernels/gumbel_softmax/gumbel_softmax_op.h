#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/gumbel_softmax/gumbel_softmax.h"

namespace roap {

/// Inputs logits [T, P], sharpness [1], key u32 [4] (the words of a RandomKey); output z [T, P].
class GumbelSoftmaxOp : public OpWith<GumbelSoftmaxParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "gumbel_softmax"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dz, logits, sharpness, key, z; output dlogits. Straight-through needs logits and key, the relaxed sample z;
/// the others are absent.
class GumbelSoftmaxBackwardOp : public OpWith<GumbelSoftmaxParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "gumbel_softmax_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Dims from logits (or z) [T, P].
GumbelSoftmaxDims gumbel_softmax_dims(const Shape& logits);

/// Appends z = softmax((logits + Gumbel) sharpness) per group.
TensorId gumbel_softmax(Graph& graph, const std::string& name, TensorId logits, TensorId sharpness, TensorId key,
                        GumbelSoftmaxParams params);

}  // namespace roap
