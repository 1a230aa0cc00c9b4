#include "kernels/tree_exec/tree_exec_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

constexpr int kMaxDepth = 12;

void expect_inputs(std::string_view op, const TreeLayout& layout, const TensorSpec& z, const TensorSpec& symbols) {
  if (layout.symbols < 1) throw ShapeError("[tree_exec] symbols: expected at least 1");
  if (layout.depth < 1 || layout.depth > kMaxDepth) {
    throw ShapeError(fmt::format("[{}] depth: expected 1..{}, got {}", op, kMaxDepth, layout.depth));
  }
  expect_rank(op, "z", z, DType::f32, 2);
  expect_rank(op, "symbols", symbols, DType::f32, 2);
  expect_extent(op, "z weights per task", z.shape[1], layout.count());
  expect_extent(op, "symbols per pair", symbols.shape[1], layout.symbols);
}

/// Multiply-adds of one pair's leaves count two; the operator formula about five operations a node.
double forward_flop(const TreeExecDims& d) {
  const double leaves = static_cast<double>(d.layout.leaf_nodes()) * d.layout.symbols;
  return static_cast<double>(d.tasks * d.pairs) * (2 * leaves + 5.0 * d.layout.inner_nodes());
}

}  // namespace

TreeExecDims tree_exec_dims(const TreeLayout& layout, const Shape& z, const Shape& symbols) {
  return {z[0], symbols[0], layout};
}

Specs TreeExecOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params(), inputs[0], inputs[1]);
  return {f32({inputs[0].shape[0], inputs[1].shape[0]})};
}

void TreeExecOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<TreeExecBackwardOp>(params()), {g.grad(0), g.input(0), g.input(1)}, {0, 1});
}

std::unique_ptr<OpState> TreeExecOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::tree_exec_forward_workspace(tree_exec_dims(params(), in[0].shape, in[1].shape)));
}

void TreeExecOp::run_cpu(const RunContext& c) const {
  cpu::tree_exec_forward(tree_exec_dims(params(), c.in_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1),
                         c.out<float>(0), c.workspace<float>());
}

Work TreeExecOp::work(const Specs& in, const Specs& out) const {
  const double elements = static_cast<double>(in[0].shape.count() + in[1].shape.count() + out[0].shape.count());
  return {forward_flop(tree_exec_dims(params(), in[0].shape, in[1].shape)), 4 * elements};
}

Specs TreeExecBackwardOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params(), inputs[1], inputs[2]);
  expect_spec(type(), "dyhat", inputs[0], f32({inputs[1].shape[0], inputs[2].shape[0]}));
  return {inputs[1], inputs[2]};
}

std::unique_ptr<OpState> TreeExecBackwardOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::tree_exec_backward_workspace(tree_exec_dims(params(), in[1].shape, in[2].shape)));
}

void TreeExecBackwardOp::run_cpu(const RunContext& c) const {
  cpu::tree_exec_backward(tree_exec_dims(params(), c.in_shape(1), c.in_shape(2)), c.in<float>(0), c.in<float>(1),
                          c.in<float>(2), c.out<float>(0), c.accumulate(0), c.out<float>(1), c.accumulate(1),
                          c.workspace<float>());
}

Work TreeExecBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  const double elements = static_cast<double>(in[0].shape.count() + 2 * (in[1].shape.count() + in[2].shape.count()));
  return {2 * forward_flop(tree_exec_dims(params(), in[1].shape, in[2].shape)), 4 * elements};
}

TensorId tree_exec(Graph& graph, const std::string& name, TensorId z, TensorId symbols, TreeLayout layout) {
  return graph.apply(name, std::make_shared<TreeExecOp>(layout), {z, symbols})[0];
}

}  // namespace roap
