#pragma once

#include <string>
#include <vector>

#include "engine/graph.h"
#include "kernels/batch_norm/batch_norm.h"

namespace roap {

/// With batch statistics. x, residual, y and their gradients are f32 or bf16, all else f32. Inputs x [n, h, w, c],
/// gamma [c], beta [c], optional residual [n, h, w, c]; outputs y [n, h, w, c], mean [c], variance [c] (biased; the
/// loss must not depend on these two).
class BatchNormOp : public OpWith<BatchNormParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "batch_norm"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, y (absent without ReLU), x, gamma, mean, variance; outputs dx, dgamma, dbeta, dresidual.
class BatchNormBackwardOp : public OpWith<BatchNormParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "batch_norm_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t output) const override { return output == 0 || output == 3; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// With given statistics. Inputs x, gamma, beta, mean [c], variance [c], optional residual; output y. The statistics
/// are running ones, for evaluation, without gradient; or, `of_batch`, those of x, which the operator that made x has
/// found: then the gradient is that of BatchNormOp.
class BatchNormEvalOp : public OpWith<BatchNormParams> {
 public:
  explicit BatchNormEvalOp(BatchNormParams params, bool of_batch = false) : OpWith(params), of_batch_(of_batch) {}
  [[nodiscard]] std::string_view type() const override { return "batch_norm_eval"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  bool of_batch_;
};

/// Moves the running statistics of all layers towards the batch's; has no gradient. Inputs guard [2] (guard[0] == 0:
/// the step is not finite, nothing changes) and for each layer mean [c], variance [c], running_mean [c], running_var
/// [c]; outputs for each layer the new values of the last two, in place when the outputs are the same tensors
/// (Graph::apply_into).
class BatchNormUpdateOp : public OpWith<BatchNormUpdateParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "batch_norm_update"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
};

/// Rows and channels of an image batch [n, h, w, c].
BatchNormDims batch_norm_dims(const Shape& x);

/// Mean and variance [c] of a tensor, absent where no operator has found them.
struct BatchMoments {
  TensorId mean, variance;
};

/// A layer of BatchNormUpdateOp as that sees it.
template <class Real>
BatchNormRunning<Real> batch_norm_running(const BatchNormUpdateOp& op, const RunContext& c, std::size_t layer) {
  const std::size_t in = 1 + 4 * layer, out = 2 * layer;
  return {c.in_shape(in)[0],  op.params().counts[layer], c.in<Real>(in),   c.in<Real>(in + 1),
          c.in<Real>(in + 2), c.in<Real>(in + 3),        c.out<Real>(out), c.out<Real>(out + 1)};
}

/// Running statistics that wait for the node that says whether the step is finite.
struct BatchNormUpdate {
  TensorId mean, variance, running_mean, running_var;
  std::int64_t count = 0;
};

/// Appends y = relu?(batch_norm(x) + residual) with weights NAME.weight (ones), NAME.bias (zeros) and buffers
/// NAME.running_mean (zeros), NAME.running_var (ones). With `train` it uses batch statistics and, unless `pending` is
/// null, appends the update of the running ones to `pending`; otherwise it uses the running statistics. `moments`: the
/// batch statistics, where they are known.
TensorId batch_norm(Graph& graph, const std::string& name, TensorId x, TensorId residual, bool relu, bool train,
                    std::vector<BatchNormUpdate>* pending, BatchMoments moments = {});

/// Appends one node for all updates, if there are any; guard [2] is written by an earlier node.
void append_batch_norm_updates(Graph& graph, const std::vector<BatchNormUpdate>& pending, TensorId guard);

}  // namespace roap
