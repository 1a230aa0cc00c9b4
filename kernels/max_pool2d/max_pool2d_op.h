#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/max_pool2d/max_pool2d.h"

namespace roap {

/// Input x [n, h, w, c] (f32 or bf16); outputs y [n, ho, wo, c] of its type and winner u8 [n, ho, wo, c], which
/// backward needs.
class MaxPool2dOp : public OpWith<MaxPool2dParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "max_pool2d"; }
  /// Sizes from x; throws ShapeError where they do not fit.
  [[nodiscard]] MaxPool2dDims dims(const Specs& inputs) const;
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, winner; output dx.
class MaxPool2dBackwardOp : public Op {
 public:
  explicit MaxPool2dBackwardOp(const MaxPool2dDims& dims) : dims_(dims) {}
  [[nodiscard]] std::string_view type() const override { return "max_pool2d_backward"; }
  [[nodiscard]] const MaxPool2dDims& dims() const { return dims_; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  MaxPool2dDims dims_;
};

/// Appends the pooling; returns y.
TensorId max_pool2d(Graph& graph, const std::string& name, TensorId x, MaxPool2dParams params = {});

}  // namespace roap
