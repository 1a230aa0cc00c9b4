#include "kernels/point_max/point_max_op.h"

#include "engine/autodiff.h"

namespace roap {

PointMaxDims point_max_dims(const Shape& x) { return {x[0], x[1], x[2]}; }

Specs PointMaxOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[0], DType::f32, 3);
  const Shape y{inputs[0].shape[0], inputs[0].shape[2]};
  return {f32(y), i32(y)};
}

void PointMaxOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<PointMaxBackwardOp>(g.input_specs()[0].shape[1]), {g.grad(0), g.output(1)}, {0});
}

void PointMaxOp::run_cpu(const RunContext& c) const {
  cpu::point_max_forward(point_max_dims(c.in_shape(0)), c.in<float>(0), c.out<float>(0), c.out<std::int32_t>(1));
}

Work PointMaxOp::work(const Specs& in, const Specs& out) const {
  const auto elements = static_cast<double>(in[0].shape.count());
  return {elements, 4 * (elements + 2 * static_cast<double>(out[0].shape.count()))};
}

Specs PointMaxBackwardOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dy", inputs[0], DType::f32, 2);
  expect_spec(type(), "index", inputs[1], i32(inputs[0].shape));
  return {f32({inputs[0].shape[0], points_, inputs[0].shape[1]})};
}

void PointMaxBackwardOp::run_cpu(const RunContext& c) const {
  cpu::point_max_backward(point_max_dims(c.out_shape(0)), c.in<float>(0), c.in<std::int32_t>(1), c.out<float>(0),
                          c.accumulate(0));
}

Work PointMaxBackwardOp::work(const Specs& in, const Specs& out) const {
  return {static_cast<double>(in[0].shape.count()),
          4 * (static_cast<double>(out[0].shape.count()) + 2 * static_cast<double>(in[0].shape.count()))};
}

TensorId point_max(Graph& graph, const std::string& name, TensorId x) {
  return graph.apply(name, std::make_shared<PointMaxOp>(), {x})[0];
}

}  // namespace roap
