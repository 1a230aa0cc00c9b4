#include "kernels/conv2d/conv2d_op.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/autodiff.h"

namespace roap {

namespace {

TensorSpec x_spec(const Conv2dDims& d, DType dtype) { return {dtype, {d.n, d.h, d.w, d.ci}}; }
TensorSpec w_spec(const Conv2dDims& d) {
  const TapWindow taps = stored_window(d);
  return f32({d.co, taps.rows, taps.columns, d.ci});
}
TensorSpec y_spec(const Conv2dDims& d, DType dtype) { return {dtype, {d.n, d.ho(), d.wo(), d.co}}; }

/// Throws ShapeError where stride, padding and kernel do not fit each other or the image.
void expect_sizes(const Conv2dDims& d) {
  if (d.stride < 1 || d.padding < 0 || d.padding >= std::min(d.kh, d.kw)) {
    throw ShapeError(
        fmt::format("[conv2d] stride {} and padding {}: expected stride >= 1 and 0 <= padding < kernel {}x{}", d.stride,
                    d.padding, d.kh, d.kw));
  }
  if (d.h + 2 * d.padding < d.kh || d.w + 2 * d.padding < d.kw) {
    throw ShapeError(fmt::format("[conv2d] x {} with padding {} is smaller than the kernel {}x{}",
                                 Shape{d.n, d.h, d.w, d.ci}.text(), d.padding, d.kh, d.kw));
  }
}

/// Useful work: products with padding are not counted.
Work conv2d_work(const Conv2dDims& d, DType dtype) {
  const double pairs = static_cast<double>(vertical_axis(d).useful_pairs() * horizontal_axis(d).useful_pairs());
  const auto channels = static_cast<double>(d.n * d.ci * d.co);
  return {.flop = 2 * pairs * channels,
          .bytes = storage_bytes(x_spec(d, dtype)) + storage_bytes(w_spec(d)) + storage_bytes(y_spec(d, dtype)),
          .dense_flop = 2 * channels * static_cast<double>(d.ho() * d.wo() * d.kh * d.kw),
          .bf16 = dtype == DType::bf16};
}

BatchNormDims moment_dims(const Conv2dDims& d) { return {d.output_rows(), d.co}; }

class Conv2dState : public OpState {
 public:
  Conv2dState(Conv2dPass pass, const Conv2dDims& dims, bool moments = false)
      : plan_(cpu::conv2d_plan(pass, dims)), dims_(dims), moments_(moments) {}
  [[nodiscard]] std::size_t workspace_bytes() const override {
    const std::size_t of_moments = moments_ ? cpu::batch_norm_workspace_bytes(moment_dims(dims_)) : 0;
    return std::max(plan_->workspace_bytes(), of_moments);
  }
  void run(const RunContext& c, std::size_t input = 0, std::size_t output = 0) const {
    plan_->run(c.in<float>(input), c.in<float>(input + 1), c.out<float>(output), c.accumulate(output), c.workspace());
    if (!moments_) return;
    cpu::batch_norm_statistics(moment_dims(dims_), c.out<float>(0), c.out<float>(1), c.out<float>(2), c.workspace());
  }

 private:
  std::unique_ptr<cpu::Conv2dPlan> plan_;
  Conv2dDims dims_;
  bool moments_;
};

}  // namespace

Conv2dDims Conv2dOp::dims(const Specs& inputs) const {
  expect_real_rank(type(), "x", inputs[0], 4);
  expect_rank(type(), "w", inputs[1], DType::f32, 4);
  const Shape& x = inputs[0].shape;
  const Shape& w = inputs[1].shape;
  expect_extent(type(), "w in channels", w[3], x[3]);
  const bool live = params().live_of > 0;
  const Conv2dDims d{.n = x[0],
                     .h = x[1],
                     .w = x[2],
                     .ci = x[3],
                     .co = w[0],
                     .kh = live ? params().live_of : w[1],
                     .kw = live ? params().live_of : w[2],
                     .stride = params().stride,
                     .padding = params().padding,
                     .live_taps_only = live};
  expect_sizes(d);
  expect_spec(type(), "w", inputs[1], w_spec(d));
  return d;
}

Specs Conv2dOp::infer(const Specs& inputs) const {
  const TensorSpec y = y_spec(dims(inputs), inputs[0].dtype);
  if (!moments_) return {y};
  return {y, f32({y.shape[3]}), f32({y.shape[3]})};
}

void Conv2dOp::gradient(GradientContext& g) const {
  const Conv2dDims d = dims(g.input_specs());
  if (g.wants(0)) g.emit("backward_data", std::make_shared<Conv2dBackwardDataOp>(d), {g.grad(0), g.input(1)}, {0});
  if (g.wants(1)) g.emit("backward_weight", std::make_shared<Conv2dBackwardWeightOp>(d), {g.grad(0), g.input(0)}, {1});
}

std::unique_ptr<OpState> Conv2dOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<Conv2dState>(Conv2dPass::forward, dims(inputs), moments_);
}

void Conv2dOp::run_cpu(const RunContext& c) const { c.state<Conv2dState>().run(c); }

Work Conv2dOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return conv2d_work(dims(inputs), inputs[0].dtype);
}

Specs Conv2dBackwardDataOp::infer(const Specs& inputs) const {
  expect_real_rank(type(), "dy", inputs[0], 4);
  expect_spec(type(), "dy", inputs[0], y_spec(dims_, inputs[0].dtype));
  expect_spec(type(), "w", inputs[1], w_spec(dims_));
  return {x_spec(dims_, inputs[0].dtype)};
}

std::unique_ptr<OpState> Conv2dBackwardDataOp::prepare(const Specs& /*inputs*/, const Specs& /*outputs*/) const {
  return std::make_unique<Conv2dState>(Conv2dPass::backward_data, dims_);
}

void Conv2dBackwardDataOp::run_cpu(const RunContext& c) const { c.state<Conv2dState>().run(c); }

Work Conv2dBackwardDataOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return conv2d_work(dims_, inputs[0].dtype);
}

Specs Conv2dBackwardWeightOp::infer(const Specs& inputs) const {
  if (inputs.size() != 2 * static_cast<std::size_t>(members_)) {
    throw ShapeError(
        fmt::format("[{}] {} members: expected dy and x of each, got {} inputs", type(), members_, inputs.size()));
  }
  expect_real_rank(type(), "dy", inputs[0], 4);
  for (std::size_t i = 0; i < inputs.size(); i += 2) {
    expect_spec(type(), "dy", inputs[i], y_spec(dims_, inputs[0].dtype));
    expect_spec(type(), "x", inputs[i + 1], x_spec(dims_, inputs[0].dtype));
  }
  return Specs(static_cast<std::size_t>(members_), w_spec(dims_));
}

std::unique_ptr<OpState> Conv2dBackwardWeightOp::prepare(const Specs& /*inputs*/, const Specs& /*outputs*/) const {
  return std::make_unique<Conv2dState>(Conv2dPass::backward_weight, dims_);
}

void Conv2dBackwardWeightOp::run_cpu(const RunContext& c) const {
  for (std::size_t i = 0; i < static_cast<std::size_t>(members_); ++i) c.state<Conv2dState>().run(c, 2 * i, i);
}

Work Conv2dBackwardWeightOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  Work work = conv2d_work(dims_, inputs[0].dtype);
  for (double* share : {&work.flop, &work.bytes, &work.dense_flop}) *share *= members_;
  return work;
}

void group_conv2d_weight_gradients(Graph& graph) {
  // The sizes of a node that can wait: nobody reads its result before the end of the backward pass.
  const auto dims_at = [&](std::size_t i) -> const Conv2dDims* {
    const Node& node = graph.nodes()[i];
    const auto* op = dynamic_cast<const Conv2dBackwardWeightOp*>(node.op.get());
    const bool can_wait = op != nullptr && op->members() == 1 && graph.spec(node.inputs[0]).dtype == DType::bf16 &&
                          graph.info(node.outputs[0]).storage == Storage::persistent;
    return can_wait ? &op->dims() : nullptr;
  };
  for (std::size_t first = 0; first < graph.nodes().size();) {
    std::vector<std::size_t> positions;
    for (std::size_t i = first; dims_at(first) != nullptr && i < graph.nodes().size(); ++i) {
      const Conv2dDims* dims = dims_at(i);
      if (dims != nullptr && *dims == *dims_at(first) && positions.size() < kMostConv2dMembers) positions.push_back(i);
    }
    if (positions.size() < 2) {
      ++first;
      continue;
    }
    Node group{fmt::format("{}_and_{}_more", graph.nodes()[positions.back()].name, positions.size() - 1),
               std::make_shared<Conv2dBackwardWeightOp>(*dims_at(first), static_cast<int>(positions.size())),
               {},
               {},
               std::vector<bool>(positions.size(), false)};
    for (const std::size_t i : positions) {
      const Node& node = graph.nodes()[i];
      group.inputs.insert(group.inputs.end(), node.inputs.begin(), node.inputs.end());
      group.outputs.push_back(node.outputs[0]);
    }
    graph.replace_nodes(positions, std::move(group));
  }
}

TensorId conv2d(Graph& graph, const std::string& name, TensorId x, std::int64_t out_channels, std::int64_t kernel,
                Conv2dParams params) {
  return conv2d_with_moments(graph, name, x, out_channels, kernel, params, kNoConv2dMoments).y;
}

Conv2dOutputs conv2d_with_moments(Graph& graph, const std::string& name, TensorId x, std::int64_t out_channels,
                                  std::int64_t kernel, Conv2dParams params, double moments_from) {
  const double fan_out = static_cast<double>(out_channels * kernel * kernel);
  expect_real_rank("conv2d", "x", graph.spec(x), 4);
  const Shape& images = graph.shape(x);
  if (graph.store().stored_taps() == StoredTaps::live) params.live_of = kernel;
  const Conv2dDims d{.n = images[0],
                     .h = images[1],
                     .w = images[2],
                     .ci = images[3],
                     .co = out_channels,
                     .kh = kernel,
                     .kw = kernel,
                     .stride = params.stride,
                     .padding = params.padding,
                     .live_taps_only = params.live_of > 0};
  expect_sizes(d);
  const TensorId w = graph.parameter(name + ".weight", {out_channels, images[3], kernel, kernel},
                                     Initializer::normal(std::sqrt(2.0 / fan_out)), stored_window(d));
  const Specs inputs{graph.spec(x), graph.spec(w)};
  const TensorSpec y = Conv2dOp(params).infer(inputs)[0];
  const bool moments = y.dtype == DType::bf16 && storage_bytes(y) >= moments_from;
  const std::vector<TensorId> outputs = graph.apply(name, std::make_shared<Conv2dOp>(params, moments), {x, w});
  if (!moments) return {outputs[0], {}};
  return {outputs[0], {outputs[1], outputs[2]}};
}

}  // namespace roap
