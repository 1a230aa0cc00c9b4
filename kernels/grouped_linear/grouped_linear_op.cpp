#include "kernels/grouped_linear/grouped_linear_op.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_rank_2_or_3(std::string_view op, const char* name, const TensorSpec& spec) {
  expect_rank(op, name, spec, DType::f32, spec.shape.rank() == 2 ? 2 : 3);
}

/// Groups of a tensor that has them in front, or 0 for one that all groups share.
std::int64_t groups_of(const Shape& shape) { return shape.rank() == 3 ? shape[0] : 0; }

}  // namespace

GroupedLinearDims grouped_linear_dims(const Shape& x, const Shape& w, const Shape& y) {
  return {y[0], y[1], w[w.rank() - 1], y[2], x.rank() == 2, w.rank() == 2};
}

Specs GroupedLinearOp::infer(const Specs& inputs) const {
  expect_rank_2_or_3(type(), "x", inputs[0]);
  expect_rank_2_or_3(type(), "w", inputs[1]);
  const Shape& x = inputs[0].shape;
  const Shape& w = inputs[1].shape;
  expect_extent(type(), "w in features", w[w.rank() - 1], x[x.rank() - 1]);
  std::int64_t groups = std::max(groups_of(x), groups_of(w));
  if (inputs[2].present()) {
    expect_rank(type(), "b", inputs[2], DType::f32, 2);
    if (groups == 0) groups = inputs[2].shape[0];
    expect_spec(type(), "b", inputs[2], f32({groups, w[w.rank() - 2]}));
  }
  if (groups == 0)
    throw ShapeError("[grouped_linear] x and w are shared by all groups, so b must say how many there are");
  if (groups_of(x) > 0) expect_extent(type(), "x groups", groups_of(x), groups);
  if (groups_of(w) > 0) expect_extent(type(), "w groups", groups_of(w), groups);
  return {f32({groups, x[x.rank() - 2], w[w.rank() - 2]})};
}

void GroupedLinearOp::gradient(GradientContext& g) const {
  const TensorId y = params().relu ? g.output(0) : TensorId{};
  g.emit("backward", std::make_shared<GroupedLinearBackwardOp>(params()), {g.grad(0), y, g.input(0), g.input(1)},
         {0, 1, 2});
}

void GroupedLinearOp::run_cpu(const RunContext& c) const {
  cpu::grouped_linear_forward(grouped_linear_dims(c.in_shape(0), c.in_shape(1), c.out_shape(0)), params(),
                              c.in<float>(0), c.in<float>(1), c.in<float>(2), c.out<float>(0));
}

Work GroupedLinearOp::work(const Specs& in, const Specs& out) const {
  const auto elements = static_cast<double>(in[0].shape.count() + in[1].shape.count() + out[0].shape.count());
  return {2 * static_cast<double>(out[0].shape.count() * in[0].shape[in[0].shape.rank() - 1]), 4 * elements};
}

Specs GroupedLinearBackwardOp::infer(const Specs& inputs) const {
  expect_rank_2_or_3(type(), "x", inputs[2]);
  expect_rank_2_or_3(type(), "w", inputs[3]);
  expect_rank(type(), "dy", inputs[0], DType::f32, 3);
  const GroupedLinearDims dims = grouped_linear_dims(inputs[2].shape, inputs[3].shape, inputs[0].shape);
  const TensorSpec b = f32({dims.groups, dims.out});
  expect_spec(type(), "dy", inputs[0], GroupedLinearOp(GroupedLinearParams{}).infer({inputs[2], inputs[3], b})[0]);
  if (params().relu) expect_spec(type(), "y", inputs[1], inputs[0]);
  return {inputs[2], inputs[3], b};
}

std::unique_ptr<OpState> GroupedLinearBackwardOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  const GroupedLinearDims dims = grouped_linear_dims(inputs[2].shape, inputs[3].shape, inputs[0].shape);
  return std::make_unique<WorkspaceState>(cpu::grouped_linear_backward_workspace(dims, params()));
}

GroupedLinearInputs GroupedLinearBackwardOp::inputs(const RunContext& c) {
  return {c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3)};
}

GroupedLinearGradients GroupedLinearBackwardOp::gradients(const RunContext& c) {
  return {c.out<float>(0), c.accumulate(0), c.out<float>(1), c.out<float>(2)};
}

void GroupedLinearBackwardOp::run_cpu(const RunContext& c) const {
  cpu::grouped_linear_backward(grouped_linear_dims(c.in_shape(2), c.in_shape(3), c.in_shape(0)), inputs(c),
                               gradients(c), c.workspace());
}

Work GroupedLinearBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  Work forward = GroupedLinearOp(params()).work({in[2], in[3]}, {in[0]});
  return {2 * forward.flop, 2 * forward.bytes};
}

TensorId grouped_linear(Graph& graph, const std::string& name, TensorId x, std::int64_t groups,
                        std::int64_t out_features, GroupedLinearParams params, GroupWeights weights,
                        std::int64_t fan_in) {
  const Shape& of_x = graph.shape(x);
  const std::int64_t in = of_x[of_x.rank() - 1];
  const auto bound = 1.0 / std::sqrt(static_cast<double>(fan_in > 0 ? fan_in : in));
  const Initializer initializer = Initializer::uniform(bound);
  const Shape shape = weights == GroupWeights::shared ? Shape{out_features, in} : Shape{groups, out_features, in};
  const TensorId w = graph.parameter(name + ".weight", shape, initializer);
  const TensorId b = graph.parameter(name + ".bias", {groups, out_features}, initializer);
  return graph.apply(name, std::make_shared<GroupedLinearOp>(params), {x, w, b})[0];
}

}  // namespace roap
