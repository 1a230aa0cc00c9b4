#include "kernels/adam_step/adam_step_op.h"

#include <fmt/format.h>

namespace roap {

Specs AdamStepOp::infer(const Specs& inputs) const {
  expect_rank(type(), "weights", inputs[0], DType::f32, 1);
  expect_spec(type(), "gradients", inputs[1], inputs[0]);
  expect_spec(type(), "moment1", inputs[2], inputs[0]);
  expect_spec(type(), "moment2", inputs[3], inputs[0]);
  expect_spec(type(), "step", inputs[4], f32({1}));
  expect_spec(type(), "guard", inputs[5], f32({2}));
  expect_spec(type(), "rates", inputs[6], f32({2}));
  // Padding between weights has zero moments: without eps it would become 0 / 0.
  if (!(params().eps > 0)) {
    throw ShapeError(fmt::format("[{}] eps: expected a positive number, got {}", type(), params().eps));
  }
  return {inputs[0], inputs[2], inputs[3], inputs[4]};
}

AdamInputs AdamStepOp::inputs(const RunContext& c) {
  return {c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3),
          c.in<float>(4), c.in<float>(5), c.in<float>(6)};
}

AdamOutputs AdamStepOp::outputs(const RunContext& c) {
  return {c.out<float>(0), c.out<float>(1), c.out<float>(2), c.out<float>(3)};
}

void AdamStepOp::run_cpu(const RunContext& c) const {
  cpu::adam_step(c.in_shape(0).count(), params(), inputs(c), outputs(c));
}

Work AdamStepOp::work(const Specs& in, const Specs& /*out*/) const {
  const double count = static_cast<double>(in[0].shape.count());
  return {14 * count, 28 * count};
}

void adam_step(Graph& graph, const std::string& name, const AdamTensors& t, AdamParams params) {
  graph.apply_into(name, std::make_shared<AdamStepOp>(params),
                   {t.weights, t.gradients, t.moment1, t.moment2, t.step, t.guard, t.rates},
                   {t.weights, t.moment1, t.moment2, t.step});
}

}  // namespace roap
