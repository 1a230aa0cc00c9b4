#include "kernels/gradient_guard/gradient_guard_op.h"

namespace roap {

Specs GradientGuardOp::infer(const Specs& inputs) const {
  expect_spec(type(), "loss", inputs[0], f32({1}));
  expect_rank(type(), "gradients", inputs[1], DType::f32, 1);
  return {f32({2})};
}

std::unique_ptr<OpState> GradientGuardOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(cpu::gradient_guard_workspace(in[1].shape.count()));
}

void GradientGuardOp::run_cpu(const RunContext& c) const {
  cpu::gradient_guard(c.in_shape(1).count(), c.in<float>(0), c.in<float>(1), c.out<float>(0), c.workspace<double>());
}

Work GradientGuardOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[1].shape.count());
  return {2 * count, 4 * count};
}

TensorId gradient_guard(Graph& graph, const std::string& name, TensorId loss, TensorId gradients) {
  return graph.apply(name, std::make_shared<GradientGuardOp>(), {loss, gradients})[0];
}

}  // namespace roap
