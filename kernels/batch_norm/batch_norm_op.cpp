#include "kernels/batch_norm/batch_norm_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

void expect_channels(std::string_view op, std::string_view name, const TensorSpec& spec, const TensorSpec& x) {
  expect_spec(op, name, spec, f32({x.shape[3]}));
}

std::unique_ptr<OpState> workspace_for(const TensorSpec& x) {
  return std::make_unique<WorkspaceState>(cpu::batch_norm_workspace_bytes(batch_norm_dims(x.shape)));
}

/// `flop` operations per element, `arrays` arrays of the size of x.
Work elementwise_work(const TensorSpec& x, double flop, double arrays) {
  return {flop * static_cast<double>(x.shape.count()), arrays * storage_bytes(x)};
}

double count_present(const Specs& specs, std::initializer_list<std::size_t> which) {
  double count = 0;
  for (const std::size_t i : which) count += specs[i].present() ? 1 : 0;
  return count;
}

}  // namespace

BatchNormDims batch_norm_dims(const Shape& x) { return {x[0] * x[1] * x[2], x[3]}; }

Specs BatchNormOp::infer(const Specs& inputs) const {
  const TensorSpec& x = inputs[0];
  expect_real_rank(type(), "x", x, 4);
  expect_channels(type(), "gamma", inputs[1], x);
  expect_channels(type(), "beta", inputs[2], x);
  if (inputs[3].present()) expect_spec(type(), "residual", inputs[3], x);
  return {x, f32({x.shape[3]}), f32({x.shape[3]})};
}

void BatchNormOp::gradient(GradientContext& g) const {
  const TensorId mask = params().relu ? g.output(0) : TensorId{};
  g.emit("backward", std::make_shared<BatchNormBackwardOp>(params()),
         {g.grad(0), mask, g.input(0), g.input(1), g.output(1), g.output(2)}, {0, 1, 2, 3});
}

std::unique_ptr<OpState> BatchNormOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return workspace_for(inputs[0]);
}

void BatchNormOp::run_cpu(const RunContext& c) const {
  cpu::batch_norm_forward(batch_norm_dims(c.in_shape(0)), params(), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                          c.in<float>(3), c.out<float>(0), c.out<float>(1), c.out<float>(2), c.workspace());
}

Work BatchNormOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return elementwise_work(inputs[0], 8, 3 + count_present(inputs, {3}));
}

Specs BatchNormBackwardOp::infer(const Specs& inputs) const {
  const TensorSpec& x = inputs[2];
  expect_real_rank(type(), "x", x, 4);
  expect_spec(type(), "dy", inputs[0], x);
  if (params().relu) expect_spec(type(), "y", inputs[1], x);
  expect_channels(type(), "gamma", inputs[3], x);
  expect_channels(type(), "mean", inputs[4], x);
  expect_channels(type(), "variance", inputs[5], x);
  return {x, inputs[3], inputs[3], x};
}

std::unique_ptr<OpState> BatchNormBackwardOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return workspace_for(inputs[2]);
}

void BatchNormBackwardOp::run_cpu(const RunContext& c) const {
  cpu::batch_norm_backward(
      batch_norm_dims(c.in_shape(2)), params(), c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3),
      c.in<float>(4), c.in<float>(5),
      {c.out<float>(0), c.out<float>(1), c.out<float>(2), c.out<float>(3), c.accumulate(0), c.accumulate(3)},
      c.workspace());
}

Work BatchNormBackwardOp::work(const Specs& inputs, const Specs& outputs) const {
  const double reads = 2 * (2 + count_present(inputs, {1}));
  return elementwise_work(inputs[2], 11, reads + count_present(outputs, {0, 3}));
}

Specs BatchNormEvalOp::infer(const Specs& inputs) const {
  const TensorSpec& x = inputs[0];
  expect_real_rank(type(), "x", x, 4);
  expect_channels(type(), "gamma", inputs[1], x);
  expect_channels(type(), "beta", inputs[2], x);
  expect_channels(type(), "mean", inputs[3], x);
  expect_channels(type(), "variance", inputs[4], x);
  if (inputs[5].present()) expect_spec(type(), "residual", inputs[5], x);
  return {x};
}

void BatchNormEvalOp::gradient(GradientContext& g) const {
  if (!of_batch_) return Op::gradient(g);
  const TensorId mask = params().relu ? g.output(0) : TensorId{};
  g.emit("backward", std::make_shared<BatchNormBackwardOp>(params()),
         {g.grad(0), mask, g.input(0), g.input(1), g.input(3), g.input(4)}, {0, 1, 2, 5});
}

std::unique_ptr<OpState> BatchNormEvalOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return workspace_for(inputs[0]);
}

void BatchNormEvalOp::run_cpu(const RunContext& c) const {
  cpu::batch_norm_eval(batch_norm_dims(c.in_shape(0)), params(), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                       c.in<float>(3), c.in<float>(4), c.in<float>(5), c.out<float>(0), c.workspace());
}

Work BatchNormEvalOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return elementwise_work(inputs[0], 4, 2 + count_present(inputs, {5}));
}

Specs BatchNormUpdateOp::infer(const Specs& inputs) const {
  const std::size_t layers = params().counts.size();
  if (inputs.size() != 1 + 4 * layers) {
    throw ShapeError(fmt::format("[batch_norm_update] {} counts: expected guard and 4 inputs for each, got {} inputs",
                                 layers, inputs.size()));
  }
  expect_spec(type(), "guard", inputs[0], f32({2}));
  Specs outputs;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const TensorSpec* of_layer = &inputs[1 + 4 * layer];
    expect_rank(type(), "mean", of_layer[0], DType::f32, 1);
    expect_spec(type(), "variance", of_layer[1], of_layer[0]);
    expect_spec(type(), "running_mean", of_layer[2], of_layer[0]);
    expect_spec(type(), "running_var", of_layer[3], of_layer[0]);
    if (params().counts[layer] < 1) {
      throw ShapeError(fmt::format("[batch_norm_update] count: expected n h w >= 1, got {}", params().counts[layer]));
    }
    outputs.insert(outputs.end(), {of_layer[2], of_layer[3]});
  }
  return outputs;
}

void BatchNormUpdateOp::run_cpu(const RunContext& c) const {
  for (std::size_t layer = 0; layer < params().counts.size(); ++layer) {
    cpu::batch_norm_update(params().momentum, c.in<float>(0), batch_norm_running<float>(*this, c, layer));
  }
}

TensorId batch_norm(Graph& graph, const std::string& name, TensorId x, TensorId residual, bool relu, bool train,
                    std::vector<BatchNormUpdate>* pending, BatchMoments moments) {
  const BatchNormDims dims = batch_norm_dims(graph.shape(x));
  const Shape shape{dims.channels};
  const TensorId gamma = graph.parameter(name + ".weight", shape, Initializer::constant(1));
  const TensorId beta = graph.parameter(name + ".bias", shape, Initializer::constant(0));
  const TensorId running_mean = graph.buffer(name + ".running_mean", shape, Initializer::constant(0));
  const TensorId running_var = graph.buffer(name + ".running_var", shape, Initializer::constant(1));
  const BatchNormParams params{relu};
  if (!train) {
    return graph.apply(name, std::make_shared<BatchNormEvalOp>(params),
                       {x, gamma, beta, running_mean, running_var, residual})[0];
  }
  TensorId y;
  if (moments.mean.present()) {
    y = graph.apply(name, std::make_shared<BatchNormEvalOp>(params, true),
                    {x, gamma, beta, moments.mean, moments.variance, residual})[0];
  } else {
    const std::vector<TensorId> outputs =
        graph.apply(name, std::make_shared<BatchNormOp>(params), {x, gamma, beta, residual});
    y = outputs[0];
    moments = {outputs[1], outputs[2]};
  }
  if (pending != nullptr) {
    pending->push_back({moments.mean, moments.variance, running_mean, running_var, dims.rows});
  }
  return y;
}

void append_batch_norm_updates(Graph& graph, const std::vector<BatchNormUpdate>& pending, TensorId guard) {
  if (pending.empty()) return;
  BatchNormUpdateParams params;
  std::vector<TensorId> inputs{guard}, outputs;
  for (const BatchNormUpdate& update : pending) {
    params.counts.push_back(update.count);
    inputs.insert(inputs.end(), {update.mean, update.variance, update.running_mean, update.running_var});
    outputs.insert(outputs.end(), {update.running_mean, update.running_var});
  }
  graph.apply_into("running_statistics", std::make_shared<BatchNormUpdateOp>(params), inputs, outputs);
}

}  // namespace roap
