#include "kernels/repeat_rows/repeat_rows_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

Work copy_work(const Shape& repeated) {
  const double count = static_cast<double>(repeated.count());
  return {count, 8 * count};
}

}  // namespace

RepeatRowsDims repeat_rows_dims(const Shape& x, std::int64_t copies) { return {x[0], x[1], copies}; }

Specs RepeatRowsOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[0], DType::f32, 2);
  if (copies_ < 1) throw ShapeError(fmt::format("[{}] copies: expected at least 1, got {}", type(), copies_));
  return {f32({inputs[0].shape[0] * copies_, inputs[0].shape[1]})};
}

void RepeatRowsOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<RepeatRowsBackwardOp>(copies_), {g.grad(0)}, {0});
}

void RepeatRowsOp::run_cpu(const RunContext& c) const {
  cpu::repeat_rows_forward(repeat_rows_dims(c.in_shape(0), copies_), c.in<float>(0), c.out<float>(0));
}

Work RepeatRowsOp::work(const Specs& /*inputs*/, const Specs& outputs) const { return copy_work(outputs[0].shape); }

Specs RepeatRowsBackwardOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dy", inputs[0], DType::f32, 2);
  return {f32({inputs[0].shape[0] / copies_, inputs[0].shape[1]})};
}

void RepeatRowsBackwardOp::run_cpu(const RunContext& c) const {
  cpu::repeat_rows_backward(repeat_rows_dims(c.out_shape(0), copies_), c.in<float>(0), c.out<float>(0));
}

Work RepeatRowsBackwardOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return copy_work(inputs[0].shape);
}

TensorId repeat_rows(Graph& graph, const std::string& name, TensorId x, std::int64_t copies) {
  return graph.apply(name, std::make_shared<RepeatRowsOp>(copies), {x})[0];
}

}  // namespace roap
