#include "kernels/global_avg_pool/global_avg_pool_op.h"

#include "engine/autodiff.h"

namespace roap {

namespace {

Work pool_work(const TensorSpec& x) {
  return {static_cast<double>(x.shape.count()), storage_bytes(x) + 4 * static_cast<double>(x.shape[0] * x.shape[3])};
}

}  // namespace

GlobalAvgPoolDims global_avg_pool_dims(const Shape& x) { return {x[0], x[1] * x[2], x[3]}; }

Specs GlobalAvgPoolOp::infer(const Specs& inputs) const {
  expect_real_rank(type(), "x", inputs[0], 4);
  return {f32({inputs[0].shape[0], inputs[0].shape[3]})};
}

void GlobalAvgPoolOp::gradient(GradientContext& g) const {
  if (!g.wants(0)) return;
  g.emit("backward", std::make_shared<GlobalAvgPoolBackwardOp>(g.input_specs()[0]), {g.grad(0)}, {0});
}

void GlobalAvgPoolOp::run_cpu(const RunContext& c) const {
  cpu::global_avg_pool_forward(global_avg_pool_dims(c.in_shape(0)), c.in<float>(0), c.out<float>(0));
}

Work GlobalAvgPoolOp::work(const Specs& inputs, const Specs& /*outputs*/) const { return pool_work(inputs[0]); }

Specs GlobalAvgPoolBackwardOp::infer(const Specs& inputs) const {
  expect_spec(type(), "dy", inputs[0], f32({x_.shape[0], x_.shape[3]}));
  return {x_};
}

void GlobalAvgPoolBackwardOp::run_cpu(const RunContext& c) const {
  cpu::global_avg_pool_backward(global_avg_pool_dims(x_.shape), c.in<float>(0), c.out<float>(0), c.accumulate(0));
}

Work GlobalAvgPoolBackwardOp::work(const Specs& /*inputs*/, const Specs& /*outputs*/) const { return pool_work(x_); }

TensorId global_avg_pool(Graph& graph, const std::string& name, TensorId x) {
  return graph.apply(name, std::make_shared<GlobalAvgPoolOp>(), {x})[0];
}

}  // namespace roap
