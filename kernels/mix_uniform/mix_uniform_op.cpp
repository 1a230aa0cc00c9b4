#include "kernels/mix_uniform/mix_uniform_op.h"

#include <numeric>

#include "engine/autodiff.h"

namespace roap {

namespace {

// Counted per element: one exponential and one logarithm of about ten multiply-adds each, and the normalisation.
constexpr double kFlopPerElement = 44;

void expect_inputs(std::string_view op, const MixUniformParams& params, const TensorSpec& logits,
                   const TensorSpec& share) {
  expect_rank(op, "logits", logits, DType::f32, 2);
  expect_spec(op, "share", share, f32({1}));
  expect_extent(op, "sum of group sizes",
                std::accumulate(params.group_sizes.begin(), params.group_sizes.end(), std::int64_t{0}),
                logits.shape[1]);
}

Work mix_work(const TensorSpec& logits, int arrays) {
  const double count = static_cast<double>(logits.shape.count());
  return {kFlopPerElement * count, 4.0 * arrays * count};
}

}  // namespace

MixUniformDims mix_uniform_dims(const Shape& logits) { return {logits[0], logits[1]}; }

Specs MixUniformOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params_, inputs[0], inputs[1]);
  return {inputs[0]};
}

void MixUniformOp::gradient(GradientContext& g) const {
  g.emit("backward", std::make_shared<MixUniformBackwardOp>(params_), {g.grad(0), g.input(0), g.input(1)}, {0});
}

void MixUniformOp::run_cpu(const RunContext& c) const {
  cpu::mix_uniform_forward(mix_uniform_dims(c.in_shape(0)), params_, c.in<float>(0), c.in<float>(1), c.out<float>(0));
}

Work MixUniformOp::work(const Specs& in, const Specs& /*out*/) const { return mix_work(in[0], 2); }

Specs MixUniformBackwardOp::infer(const Specs& inputs) const {
  expect_inputs(type(), params_, inputs[1], inputs[2]);
  expect_spec(type(), "dmixed", inputs[0], inputs[1]);
  return {inputs[1]};
}

void MixUniformBackwardOp::run_cpu(const RunContext& c) const {
  cpu::mix_uniform_backward(mix_uniform_dims(c.in_shape(1)), params_, c.in<float>(0), c.in<float>(1), c.in<float>(2),
                            c.out<float>(0));
}

Work MixUniformBackwardOp::work(const Specs& in, const Specs& /*out*/) const { return mix_work(in[1], 3); }

TensorId mix_uniform(Graph& graph, const std::string& name, TensorId logits, TensorId share, MixUniformParams params) {
  return graph.apply(name, std::make_shared<MixUniformOp>(std::move(params)), {logits, share})[0];
}

}  // namespace roap
