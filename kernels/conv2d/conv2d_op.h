#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/conv2d/conv2d.h"

namespace roap {

/// Inputs x [n, h, w, ci] (f32 or bf16), w [co, rows, columns, ci] of the taps it holds; output y [n, ho, wo, co] of
/// the type of x.
class Conv2dOp : public Op {
 public:
  explicit Conv2dOp(Conv2dParams params) : params_(params) {}
  [[nodiscard]] std::string_view type() const override { return "conv2d"; }
  /// Sizes from x and w; throws ShapeError where they do not fit.
  [[nodiscard]] Conv2dDims dims(const Specs& inputs) const;
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  Conv2dParams params_;
};

/// Inputs dy (f32 or bf16), w; output dx of the type of dy.
class Conv2dBackwardDataOp : public Op {
 public:
  explicit Conv2dBackwardDataOp(const Conv2dDims& dims) : dims_(dims) {}
  [[nodiscard]] std::string_view type() const override { return "conv2d_backward_data"; }
  [[nodiscard]] const Conv2dDims& dims() const { return dims_; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  Conv2dDims dims_;
};

/// Inputs dy, x (both f32 or both bf16); output dw.
class Conv2dBackwardWeightOp : public Op {
 public:
  explicit Conv2dBackwardWeightOp(const Conv2dDims& dims) : dims_(dims) {}
  [[nodiscard]] std::string_view type() const override { return "conv2d_backward_weight"; }
  [[nodiscard]] const Conv2dDims& dims() const { return dims_; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  Conv2dDims dims_;
};

/// Appends y = conv(x) with weight NAME.weight [out_channels, ci, kernel, kernel], initialised like torchvision's
/// ResNet: normal with variance 2 / (out_channels kernel^2). In memory are the taps that the store asks for
/// (StoredTaps), as OHWI.
TensorId conv2d(Graph& graph, const std::string& name, TensorId x, std::int64_t out_channels, std::int64_t kernel,
                Conv2dParams params = {});

}  // namespace roap
