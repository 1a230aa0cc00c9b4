#include "kernels/wake_loss/wake_loss_op.h"

#include <fmt/format.h>

#include <numeric>

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_common(std::string_view op, const WakeLossParams& params, const TensorSpec& logits, const TensorSpec& z,
                   const TensorSpec& error) {
  expect_rank(op, "logits", logits, DType::f32, 2);
  expect_rank(op, "z", z, DType::f32, 2);
  expect_extent(op, "z logits", z.shape[1], logits.shape[1]);
  expect_extent(op, "z rows modulo tasks", z.shape[0] % logits.shape[0], 0);
  expect_spec(op, "error", error, f32({z.shape[0]}));
  const std::int64_t sum = std::accumulate(params.group_sizes.begin(), params.group_sizes.end(), std::int64_t{0});
  expect_extent(op, "sum of group sizes", sum, logits.shape[1]);
  if (!(params.floor > 0)) throw ShapeError(fmt::format("[{}] floor: expected a positive number, got {}", op, params.floor));
}

Work sample_work(const Shape& logits, const Shape& z) {
  const double count = static_cast<double>(z.count());
  return {count + 10 * static_cast<double>(logits.count()), 4 * (count + static_cast<double>(logits.count()))};
}

}  // namespace

WakeLossDims wake_loss_dims(const Shape& logits, const Shape& z) { return {logits[0], z[0] / logits[0], logits[1]}; }

Specs WakeLossOp::infer(const Specs& inputs) const {
  expect_spec(type(), "base", inputs[0], f32({1}));
  expect_common(type(), params_, inputs[1], inputs[2], inputs[3]);
  return {f32({1})};
}

void WakeLossOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<WakeLossBackwardOp>(params_), {g.grad(0), g.input(1), g.input(2), g.input(3)}, {0, 1});
}

std::unique_ptr<OpState> WakeLossOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(static_cast<std::size_t>(inputs[1].shape[0]) * sizeof(double));
}

void WakeLossOp::run_cpu(const RunContext& c) const {
  cpu::wake_loss_forward(wake_loss_dims(c.in_shape(1), c.in_shape(2)), params_, c.in<float>(0), c.in<float>(1),
                         c.in<float>(2), c.in<float>(3), c.workspace<double>(), c.out<float>(0));
}

Work WakeLossOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return sample_work(inputs[1].shape, inputs[2].shape);
}

Specs WakeLossBackwardOp::infer(const Specs& inputs) const {
  expect_spec(type(), "dtotal", inputs[0], f32({1}));
  expect_common(type(), params_, inputs[1], inputs[2], inputs[3]);
  return {f32({1}), inputs[1]};
}

void WakeLossBackwardOp::run_cpu(const RunContext& c) const {
  cpu::wake_loss_backward(wake_loss_dims(c.in_shape(1), c.in_shape(2)), params_, c.in<float>(0), c.in<float>(1),
                          c.in<float>(2), c.in<float>(3), c.out<float>(0), c.out<float>(1));
}

Work WakeLossBackwardOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return sample_work(inputs[1].shape, inputs[2].shape);
}

TensorId wake_loss(Graph& graph, const std::string& name, TensorId base, TensorId logits, TensorId z, TensorId error,
                   WakeLossParams params) {
  return graph.apply(name, std::make_shared<WakeLossOp>(std::move(params)), {base, logits, z, error})[0];
}

}  // namespace roap
