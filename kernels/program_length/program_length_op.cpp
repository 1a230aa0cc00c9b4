#include "kernels/program_length/program_length_op.h"

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_weights(std::string_view op, const SketchLayout& layout, const TensorSpec& z) {
  expect_rank(op, "z", z, DType::f32, 2);
  std::visit([&](const auto& l) { expect_extent(op, "z weights per task", z.shape[1], l.count()); }, layout);
}

std::unique_ptr<OpState> prepare_workspace(const SketchLayout& layout, std::int64_t tasks) {
  return std::make_unique<WorkspaceState>(
      std::visit([&](const auto& l) { return cpu::program_length_workspace(l, tasks); }, layout));
}

}  // namespace

Specs ProgramLengthOp::infer(const Specs& inputs) const {
  expect_weights(type(), params(), inputs[0]);
  return {f32({inputs[0].shape[0]})};
}

void ProgramLengthOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<ProgramLengthBackwardOp>(params()), {g.grad(0), g.input(0)}, {0});
}

std::unique_ptr<OpState> ProgramLengthOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return prepare_workspace(params(), in[0].shape[0]);
}

void ProgramLengthOp::run_cpu(const RunContext& c) const {
  std::visit(
      [&](const auto& layout) {
        cpu::program_length_forward(layout, c.in_shape(0)[0], c.in<float>(0), c.out<float>(0), c.workspace<float>());
      },
      params());
}

Work ProgramLengthOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[0].shape.count());
  return {2 * count, 4 * count};
}

Specs ProgramLengthBackwardOp::infer(const Specs& inputs) const {
  expect_weights(type(), params(), inputs[1]);
  expect_spec(type(), "dlength", inputs[0], f32({inputs[1].shape[0]}));
  return {inputs[1]};
}

std::unique_ptr<OpState> ProgramLengthBackwardOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return prepare_workspace(params(), in[1].shape[0]);
}

void ProgramLengthBackwardOp::run_cpu(const RunContext& c) const {
  std::visit(
      [&](const auto& layout) {
        cpu::program_length_backward(layout, c.in_shape(1)[0], c.in<float>(0), c.in<float>(1), c.out<float>(0),
                                     c.accumulate(0), c.workspace<float>());
      },
      params());
}

Work ProgramLengthBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[1].shape.count());
  return {5 * count, 8 * count};
}

TensorId program_length(Graph& graph, const std::string& name, TensorId z, SketchLayout layout) {
  return graph.apply(name, std::make_shared<ProgramLengthOp>(layout), {z})[0];
}

}  // namespace roap
