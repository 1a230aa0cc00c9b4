#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/task_loss/task_loss.h"

namespace roap {

/// Inputs yhat [T S, B], y [T, B], sigma [T], optional length [T S], lambda [1], floor [1] (absent with the gaussian
/// loss); outputs loss [1], error [T S]. Only the loss is differentiable, with respect to yhat and length.
class TaskLossOp : public OpWith<TaskLossParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "task_loss"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dloss [1], yhat, y, sigma, lambda, floor, error; outputs dyhat [T S, B], dlength [T S].
class TaskLossBackwardOp : public OpWith<TaskLossParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "task_loss_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Dims from yhat [T, B].
TaskLossDims task_loss_dims(const Shape& yhat, const Shape& y);

struct TaskLoss {
  TensorId loss;   ///< [1]
  TensorId error;  ///< [T S], mean squared error of each sample in units of its task's variance
};

/// Appends the loss; `length` may be absent, and `floor` with the gaussian loss.
TaskLoss task_loss(Graph& graph, const std::string& name, TensorId yhat, TensorId y, TensorId sigma, TensorId length,
                   TensorId lambda, TensorId floor, TaskLossParams params);

}  // namespace roap
