#include "kernels/task_loss/task_loss_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_common(std::string_view op, const TaskLossParams& params, const TensorSpec& yhat, const TensorSpec& y,
                   const TensorSpec& sigma, const TensorSpec& lambda, const TensorSpec& floor) {
  expect_rank(op, "yhat", yhat, DType::f32, 2);
  expect_rank(op, "y", y, DType::f32, 2);
  expect_extent(op, "yhat rows (tasks x samples)", yhat.shape[0], y.shape[0] * params.samples);
  expect_extent(op, "y pairs", y.shape[1], yhat.shape[1]);
  expect_spec(op, "sigma", sigma, f32({y.shape[0]}));
  expect_spec(op, "lambda", lambda, f32({1}));
  if (params.kind == TaskLossKind::profiled) expect_spec(op, "floor", floor, f32({1}));
}

}  // namespace

TaskLossDims task_loss_dims(const Shape& yhat, const Shape& y) { return {y[0], y[1], yhat[0] / y[0]}; }

Specs TaskLossOp::infer(const Specs& inputs) const {
  expect_common(type(), params(), inputs[0], inputs[1], inputs[2], inputs[4], inputs[5]);
  const TensorSpec per_row = f32({inputs[0].shape[0]});
  if (inputs[3].present()) expect_spec(type(), "length", inputs[3], per_row);
  return {f32({1}), per_row};
}

void TaskLossOp::gradient(GradientContext& g) const {
  if (!g.grad(0).present()) return;
  g.emit("backward", std::make_shared<TaskLossBackwardOp>(params()),
         {g.grad(0), g.input(0), g.input(1), g.input(2), g.input(4), g.input(5), g.output(1)}, {0, 3});
}

void TaskLossOp::run_cpu(const RunContext& c) const {
  cpu::task_loss_forward(task_loss_dims(c.in_shape(0), c.in_shape(1)), params(), c.in<float>(0), c.in<float>(1),
                         c.in<float>(2), c.in<float>(3), c.in<float>(4), c.in<float>(5), c.out<float>(0),
                         c.out<float>(1));
}

Work TaskLossOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[0].shape.count());
  return {3 * count, 8 * count};
}

Specs TaskLossBackwardOp::infer(const Specs& inputs) const {
  expect_spec(type(), "dloss", inputs[0], f32({1}));
  expect_common(type(), params(), inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]);
  const TensorSpec per_row = f32({inputs[1].shape[0]});
  expect_spec(type(), "error", inputs[6], per_row);
  return {inputs[1], per_row};
}

void TaskLossBackwardOp::run_cpu(const RunContext& c) const {
  cpu::task_loss_backward(task_loss_dims(c.in_shape(1), c.in_shape(2)), params(), c.in<float>(0), c.in<float>(1),
                          c.in<float>(2), c.in<float>(3), c.in<float>(4), c.in<float>(5), c.in<float>(6),
                          c.out<float>(0), c.out<float>(1));
}

Work TaskLossBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[1].shape.count());
  return {2 * count, 12 * count};
}

TaskLoss task_loss(Graph& graph, const std::string& name, TensorId yhat, TensorId y, TensorId sigma, TensorId length,
                   TensorId lambda, TensorId floor, TaskLossParams params) {
  const std::vector<TensorId> outputs =
      graph.apply(name, std::make_shared<TaskLossOp>(params), {yhat, y, sigma, length, lambda, floor});
  return {outputs[0], outputs[1]};
}

}  // namespace roap
