#pragma once

#include <limits>
#include <string>

#include "engine/graph.h"
#include "kernels/batch_norm/batch_norm_op.h"
#include "kernels/conv2d/conv2d.h"

namespace roap {

/// Inputs x [n, h, w, ci] (f32 or bf16), w [co, rows, columns, ci] of the taps it holds; outputs y [n, ho, wo, co] of
/// the type of x and, with `moments`, mean [co] and (biased) variance [co] of y over all else (f32; the loss must not
/// depend on these two).
class Conv2dOp : public OpWith<Conv2dParams> {
 public:
  explicit Conv2dOp(Conv2dParams params, bool moments = false) : OpWith(params), moments_(moments) {}
  [[nodiscard]] std::string_view type() const override { return "conv2d"; }
  [[nodiscard]] bool moments() const { return moments_; }
  /// Sizes from x and w; throws ShapeError where they do not fit.
  [[nodiscard]] Conv2dDims dims(const Specs& inputs) const;
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  bool moments_;
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

/// Of one convolution, or of several of the same sizes (members). Inputs dy, x (both f32 or both bf16) of each; outputs
/// dw of each.
class Conv2dBackwardWeightOp : public Op {
 public:
  explicit Conv2dBackwardWeightOp(const Conv2dDims& dims, int members = 1) : dims_(dims), members_(members) {}
  [[nodiscard]] std::string_view type() const override { return "conv2d_backward_weight"; }
  [[nodiscard]] const Conv2dDims& dims() const { return dims_; }
  [[nodiscard]] int members() const { return members_; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  Conv2dDims dims_;
  int members_;
};

/// Computes weight gradients in bf16 of up to kMostConv2dMembers convolutions of the same sizes by one node, where the
/// last of them was. On a card every multiprocessor adds up a part of a gradient and writes it; the fewer gradients it
/// works at, the more it adds up before. ResNet-18: 11 nodes instead of 20, and half of the bytes of the parts.
void group_conv2d_weight_gradients(Graph& graph);

/// Appends y = conv(x) with weight NAME.weight [out_channels, ci, kernel, kernel], initialised like torchvision's
/// ResNet: normal with variance 2 / (out_channels kernel^2). In memory are the taps that the store asks for
/// (StoredTaps), as OHWI.
TensorId conv2d(Graph& graph, const std::string& name, TensorId x, std::int64_t out_channels, std::int64_t kernel,
                Conv2dParams params = {});

/// From so many bytes of y on it pays on a card to find the moments of y, in bf16, while it is written, so that
/// batch_norm reads a number or two for each 64 values instead of all of them. The epilogue costs about 5 instructions
/// a value, 0.4 us for a tile of 256 by 64, beside other tiles' products, and 0.3 us at the end of a block, where
/// nothing hides it; reading y again costs 0.19 us a MiB from L2 (5.5 TB/s) and more from memory. At 3072 images
/// (predictions): 33 us for the stem of ResNet-18, 4.7 us for a convolution of layer 1, 2.4 us of layer 2, 1.2 us of
/// layer 3; but 0.6 us of layer 4, which is left alone. Kernels in f32 do not find moments: they are there to compare
/// with.
inline constexpr double kConv2dMomentsFrom = 4 << 20;
inline constexpr double kNoConv2dMoments = std::numeric_limits<double>::infinity();

struct Conv2dOutputs {
  TensorId y;
  BatchMoments moments;
};
/// The same with the moments of y where y is bf16 and has at least `moments_from` bytes; elsewhere they are absent.
Conv2dOutputs conv2d_with_moments(Graph& graph, const std::string& name, TensorId x, std::int64_t out_channels,
                                  std::int64_t kernel, Conv2dParams params, double moments_from);

}  // namespace roap
