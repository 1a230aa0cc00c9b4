#include "kernels/reshape/reshape_op.h"

#include "engine/autodiff.h"
#include "kernels/reshape/reshape.h"

namespace roap {

Specs ReshapeOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[0], DType::f32, inputs[0].shape.rank());
  expect_extent(type(), "elements of " + shape_.text() + " from " + inputs[0].shape.text(), shape_.count(),
                inputs[0].shape.count());
  return {f32(shape_)};
}

void ReshapeOp::gradient(GradientContext& g) const {
  if (stop_gradient_) return;
  g.emit("backward", std::make_shared<ReshapeOp>(g.input_specs()[0].shape), {g.grad(0)}, {0});
}

void ReshapeOp::run_cpu(const RunContext& c) const {
  cpu::reshape_copy(shape_.count(), c.in<float>(0), c.out<float>(0), c.accumulate(0));
}

Work ReshapeOp::work(const Specs& /*in*/, const Specs& out) const {
  return {0, 4 * 2 * static_cast<double>(out[0].shape.count())};
}

TensorId reshape(Graph& graph, const std::string& name, TensorId x, Shape shape) {
  return graph.apply(name, std::make_shared<ReshapeOp>(shape), {x})[0];
}

TensorId stop_gradient(Graph& graph, const std::string& name, TensorId x) {
  return graph.apply(name, std::make_shared<ReshapeOp>(graph.shape(x), true), {x})[0];
}

}  // namespace roap
