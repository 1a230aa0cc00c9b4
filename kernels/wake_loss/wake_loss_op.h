#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/wake_loss/wake_loss.h"

namespace roap {

/// Inputs base [1], logits [T, P], z [T S, P], error [T S]; output total [1].
class WakeLossOp : public Op {
 public:
  explicit WakeLossOp(WakeLossParams params) : params_(std::move(params)) {}
  [[nodiscard]] const WakeLossParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "wake_loss"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  WakeLossParams params_;
};

/// Inputs dtotal [1], logits, z, error; outputs dbase [1], dlogits [T, P].
class WakeLossBackwardOp : public Op {
 public:
  explicit WakeLossBackwardOp(WakeLossParams params) : params_(std::move(params)) {}
  [[nodiscard]] const WakeLossParams& params() const { return params_; }
  [[nodiscard]] std::string_view type() const override { return "wake_loss_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  WakeLossParams params_;
};

WakeLossDims wake_loss_dims(const Shape& logits, const Shape& z);

/// Appends the total of `base` and the wake loss.
TensorId wake_loss(Graph& graph, const std::string& name, TensorId base, TensorId logits, TensorId z, TensorId error,
                   WakeLossParams params);

}  // namespace roap
