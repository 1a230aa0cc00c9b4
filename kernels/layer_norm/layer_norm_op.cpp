#include "kernels/layer_norm/layer_norm_op.h"

#include "engine/autodiff.h"

namespace roap {

Specs LayerNormOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[0], DType::f32, 2);
  const Shape& x = inputs[0].shape;
  expect_spec(type(), "gamma", inputs[1], f32({x[1]}));
  expect_spec(type(), "beta", inputs[2], f32({x[1]}));
  return {inputs[0], f32({x[0]}), f32({x[0]})};
}

void LayerNormOp::gradient(GradientContext& g) const {
  const TensorId y = params().relu ? g.output(0) : TensorId{};
  g.emit("backward", std::make_shared<LayerNormBackwardOp>(params()),
         {g.grad(0), y, g.input(0), g.input(1), g.output(1), g.output(2)}, {0, 1, 2});
}

void LayerNormOp::run_cpu(const RunContext& c) const {
  cpu::layer_norm_forward(dims(c.in_shape(0)), c.in<float>(0), c.in<float>(1), c.in<float>(2), c.out<float>(0),
                          c.out<float>(1), c.out<float>(2));
}

Work LayerNormOp::work(const Specs& in, const Specs& /*out*/) const {
  constexpr double kFlopPerElement = 8;
  const auto elements = static_cast<double>(in[0].shape.count());
  return {kFlopPerElement * elements, 4 * 2 * elements};
}

Specs LayerNormBackwardOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[2], DType::f32, 2);
  const TensorSpec& x = inputs[2];
  expect_spec(type(), "dy", inputs[0], x);
  if (params().relu) expect_spec(type(), "y", inputs[1], x);
  expect_spec(type(), "gamma", inputs[3], f32({x.shape[1]}));
  expect_spec(type(), "mean", inputs[4], f32({x.shape[0]}));
  expect_spec(type(), "rstd", inputs[5], f32({x.shape[0]}));
  return {x, inputs[3], inputs[3]};
}

std::unique_ptr<OpState> LayerNormBackwardOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(cpu::layer_norm_backward_workspace(dims(inputs[2].shape)));
}

void LayerNormBackwardOp::run_cpu(const RunContext& c) const {
  cpu::layer_norm_backward(dims(c.in_shape(2)), c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3),
                           c.in<float>(4), c.in<float>(5), c.out<float>(0), c.accumulate(0), c.out<float>(1),
                           c.out<float>(2), c.workspace<float>());
}

Work LayerNormBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  constexpr double kFlopPerElement = 16;
  const auto elements = static_cast<double>(in[2].shape.count());
  return {kFlopPerElement * elements, 4 * (params().relu ? 4 : 3) * elements};
}

TensorId layer_norm(Graph& graph, const std::string& name, TensorId x, bool relu) {
  const Shape columns{graph.shape(x)[1]};
  const TensorId gamma = graph.parameter(name + ".weight", columns, Initializer::constant(1));
  const TensorId beta = graph.parameter(name + ".bias", columns, Initializer::constant(0));
  return graph.apply(name, std::make_shared<LayerNormOp>(LayerNormParams{relu}), {x, gamma, beta})[0];
}

}  // namespace roap
