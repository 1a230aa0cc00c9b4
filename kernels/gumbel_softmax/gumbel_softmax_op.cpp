#include "kernels/gumbel_softmax/gumbel_softmax_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

// Counted per element: two logarithms and one exponential of about ten multiply-adds each, and the normalisation.
constexpr double kForwardFlopPerElement = 66;
constexpr double kBackwardFlopPerElement = 5;

void expect_groups(std::string_view op, const GumbelSoftmaxParams& params, std::int64_t logits) {
  std::int64_t total = 0;
  for (const int size : params.group_sizes) {
    if (size < 1) throw ShapeError(fmt::format("[{}] group size: expected at least 1, got {}", op, size));
    total += size;
  }
  expect_extent(op, "sum of group sizes", total, logits);
}

}  // namespace

GumbelSoftmaxDims gumbel_softmax_dims(const Shape& logits) { return {logits[0], logits[1]}; }

Specs GumbelSoftmaxOp::infer(const Specs& inputs) const {
  expect_rank(type(), "logits", inputs[0], DType::f32, 2);
  expect_spec(type(), "sharpness", inputs[1], f32({1}));
  expect_spec(type(), "key", inputs[2], u32({4}));
  expect_groups(type(), params(), inputs[0].shape[1]);
  return {inputs[0]};
}

void GumbelSoftmaxOp::gradient(GradientContext& g) const {
  const bool hard = params().straight_through;
  g.emit("backward", std::make_shared<GumbelSoftmaxBackwardOp>(params()),
         {g.grad(0), hard ? g.input(0) : TensorId{}, g.input(1), hard ? g.input(2) : TensorId{},
          hard ? TensorId{} : g.output(0)},
         {0});
}

std::unique_ptr<OpState> GumbelSoftmaxOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(cpu::gumbel_softmax_workspace(gumbel_softmax_dims(inputs[0].shape)));
}

void GumbelSoftmaxOp::run_cpu(const RunContext& c) const {
  cpu::gumbel_softmax_forward(gumbel_softmax_dims(c.in_shape(0)), params(), c.in<float>(0), c.in<float>(1),
                              c.in<std::uint32_t>(2), c.out<float>(0), c.workspace());
}

Work GumbelSoftmaxOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  const double count = static_cast<double>(inputs[0].shape.count());
  return {kForwardFlopPerElement * count, 8 * count};
}

Specs GumbelSoftmaxBackwardOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dz", inputs[0], DType::f32, 2);
  expect_spec(type(), "sharpness", inputs[2], f32({1}));
  if (params().straight_through) {
    expect_spec(type(), "logits", inputs[1], inputs[0]);
    expect_spec(type(), "key", inputs[3], u32({4}));
  } else {
    expect_spec(type(), "z", inputs[4], inputs[0]);
  }
  expect_groups(type(), params(), inputs[0].shape[1]);
  return {inputs[0]};
}

std::unique_ptr<OpState> GumbelSoftmaxBackwardOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(cpu::gumbel_softmax_workspace(gumbel_softmax_dims(inputs[0].shape)));
}

void GumbelSoftmaxBackwardOp::run_cpu(const RunContext& c) const {
  cpu::gumbel_softmax_backward(gumbel_softmax_dims(c.in_shape(0)), params(), c.in<float>(0), c.in<float>(1),
                               c.in<float>(2), c.in<std::uint32_t>(3), c.in<float>(4), c.out<float>(0), c.workspace());
}

Work GumbelSoftmaxBackwardOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  const double count = static_cast<double>(inputs[0].shape.count());
  const double sampling = params().straight_through ? kForwardFlopPerElement : 0;
  return {(kBackwardFlopPerElement + sampling) * count, 12 * count};
}

TensorId gumbel_softmax(Graph& graph, const std::string& name, TensorId logits, TensorId sharpness, TensorId key,
                        GumbelSoftmaxParams params) {
  return graph.apply(name, std::make_shared<GumbelSoftmaxOp>(std::move(params)), {logits, sharpness, key})[0];
}

}  // namespace roap
