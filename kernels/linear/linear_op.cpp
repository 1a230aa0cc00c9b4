#include "kernels/linear/linear_op.h"

#include <cmath>

#include "engine/autodiff.h"

namespace roap {

LinearDims linear_dims(const Shape& x, const Shape& w) { return {x[0], x[1], w[0]}; }

Specs LinearOp::infer(const Specs& inputs) const {
  expect_rank(type(), "x", inputs[0], DType::f32, 2);
  expect_rank(type(), "w", inputs[1], DType::f32, 2);
  expect_extent(type(), "w in features", inputs[1].shape[1], inputs[0].shape[1]);
  if (inputs[2].present()) expect_spec(type(), "b", inputs[2], f32({inputs[1].shape[0]}));
  return {f32({inputs[0].shape[0], inputs[1].shape[0]})};
}

void LinearOp::gradient(GradientContext& g) const {
  if (g.wants(0)) g.emit("backward_data", std::make_shared<LinearBackwardDataOp>(math_), {g.grad(0), g.input(1)}, {0});
  if (g.wants(1))
    g.emit("backward_weight", std::make_shared<LinearBackwardWeightOp>(math_), {g.grad(0), g.input(0)}, {1, 2});
}

void LinearOp::run_cpu(const RunContext& c) const {
  cpu::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                      c.out<float>(0));
}

Work LinearOp::work(const Specs& in, const Specs& out) const {
  const double rows = static_cast<double>(in[0].shape[0]);
  const double weights = static_cast<double>(in[1].shape.count());
  return {.flop = 2 * rows * weights,
          .bytes = 4 * (static_cast<double>(in[0].shape.count() + out[0].shape.count()) + weights),
          .bf16 = math_ == ProductMath::bf16};
}

Specs LinearBackwardDataOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dy", inputs[0], DType::f32, 2);
  expect_rank(type(), "w", inputs[1], DType::f32, 2);
  expect_extent(type(), "w out features", inputs[1].shape[0], inputs[0].shape[1]);
  return {f32({inputs[0].shape[0], inputs[1].shape[1]})};
}

void LinearBackwardDataOp::run_cpu(const RunContext& c) const {
  cpu::linear_backward_data(linear_dims(c.out_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1), c.out<float>(0),
                            c.accumulate(0));
}

Work LinearBackwardDataOp::work(const Specs& in, const Specs& out) const {
  return LinearOp(math_).work({out[0], in[1]}, {in[0]});
}

Specs LinearBackwardWeightOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dy", inputs[0], DType::f32, 2);
  expect_rank(type(), "x", inputs[1], DType::f32, 2);
  expect_extent(type(), "x rows", inputs[1].shape[0], inputs[0].shape[0]);
  return {f32({inputs[0].shape[1], inputs[1].shape[1]}), f32({inputs[0].shape[1]})};
}

void LinearBackwardWeightOp::run_cpu(const RunContext& c) const {
  const LinearDims dims{c.in_shape(1)[0], c.in_shape(1)[1], c.in_shape(0)[1]};
  cpu::linear_backward_weight(dims, c.in<float>(0), c.in<float>(1), c.out<float>(0), c.out<float>(1));
}

Work LinearBackwardWeightOp::work(const Specs& in, const Specs& out) const {
  return LinearOp(math_).work({in[1], f32({in[0].shape[1], in[1].shape[1]})}, {in[0]});
}

TensorId linear(Graph& graph, const std::string& name, TensorId x, std::int64_t out_features,
                const LinearParams& params) {
  const std::int64_t in_features = graph.shape(x)[1];
  const Initializer initializer = Initializer::uniform(1.0 / std::sqrt(static_cast<double>(in_features)));
  const TensorId w = graph.parameter(name + ".weight", {out_features, in_features}, initializer);
  TensorId b;
  if (params.bias) b = graph.parameter(name + ".bias", {out_features}, params.initial_bias.value_or(initializer));
  return graph.apply(name, std::make_shared<LinearOp>(params.math), {x, w, b})[0];
}

}  // namespace roap
