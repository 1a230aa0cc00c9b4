#include "kernels/soft_exec/soft_exec_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_inputs(std::string_view op, const StraightLineLayout& layout, const TensorSpec& z,
                   const TensorSpec& symbols) {
  if (layout.symbols < 1 || layout.lines < 1)
    throw ShapeError(fmt::format("[{}] symbols and lines: expected at least 1 each, got {} and {}", op, layout.symbols,
                                 layout.lines));
  expect_rank(op, "z", z, DType::f32, 2);
  expect_rank(op, "symbols", symbols, DType::f32, 2);
  expect_extent(op, "z weights per task", z.shape[1], layout.count());
  expect_extent(op, "symbols per pair", symbols.shape[1], layout.symbols);
}

/// Multiply-adds of one pair's forward pass count two; the operator formula about five operations a line.
double forward_flop(const SoftExecDims& d) {
  const double arguments = static_cast<double>(d.layout.count() - d.layout.operators(d.layout.lines));
  return static_cast<double>(d.tasks * d.pairs) * (2 * arguments + 5.0 * d.layout.lines);
}

}  // namespace

SoftExecDims soft_exec_dims(const StraightLineLayout& layout, const Shape& z, const Shape& symbols) {
  return {z[0], symbols[0], layout};
}

Specs SoftExecOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params(), inputs[0], inputs[1]);
  return {f32({inputs[0].shape[0], inputs[1].shape[0]})};
}

void SoftExecOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<SoftExecBackwardOp>(params()), {g.grad(0), g.input(0), g.input(1)}, {0, 1});
}

std::unique_ptr<OpState> SoftExecOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::soft_exec_forward_workspace(soft_exec_dims(params(), in[0].shape, in[1].shape)));
}

void SoftExecOp::run_cpu(const RunContext& c) const {
  cpu::soft_exec_forward(soft_exec_dims(params(), c.in_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1),
                         c.out<float>(0), c.workspace<float>());
}

Work SoftExecOp::work(const Specs& in, const Specs& out) const {
  const double elements = static_cast<double>(in[0].shape.count() + in[1].shape.count() + out[0].shape.count());
  return {forward_flop(soft_exec_dims(params(), in[0].shape, in[1].shape)), 4 * elements};
}

Specs SoftExecBackwardOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params(), inputs[1], inputs[2]);
  expect_spec(type(), "dyhat", inputs[0], f32({inputs[1].shape[0], inputs[2].shape[0]}));
  return {inputs[1], inputs[2]};
}

std::unique_ptr<OpState> SoftExecBackwardOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::soft_exec_backward_workspace(soft_exec_dims(params(), in[1].shape, in[2].shape)));
}

void SoftExecBackwardOp::run_cpu(const RunContext& c) const {
  cpu::soft_exec_backward(soft_exec_dims(params(), c.in_shape(1), c.in_shape(2)), c.in<float>(0), c.in<float>(1),
                          c.in<float>(2), c.out<float>(0), c.accumulate(0), c.out<float>(1), c.accumulate(1),
                          c.workspace<float>());
}

Work SoftExecBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  const double elements = static_cast<double>(in[0].shape.count() + 2 * (in[1].shape.count() + in[2].shape.count()));
  return {2 * forward_flop(soft_exec_dims(params(), in[1].shape, in[2].shape)), 4 * elements};
}

TensorId soft_exec(Graph& graph, const std::string& name, TensorId z, TensorId symbols, StraightLineLayout layout) {
  return graph.apply(name, std::make_shared<SoftExecOp>(layout), {z, symbols})[0];
}

}  // namespace roap
