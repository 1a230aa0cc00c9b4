#include "kernels/point_mlp/point_mlp_op.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "engine/autodiff.h"

namespace roap {

PointMlpOp::PointMlpOp(PointMlpParams params) : params_(std::move(params)) {
  for (const auto& group : params_.columns) columns_.insert(columns_.end(), group.begin(), group.end());
}

PointMlpDims PointMlpOp::dims(const Specs& inputs) const {
  PointMlpDims d;
  d.tasks = inputs[0].shape[0];
  d.pairs = inputs[0].shape[1];
  d.symbols = inputs[1].present() ? inputs[1].shape[1] : 0;
  d.groups = static_cast<std::int64_t>(params_.columns.size());
  d.in = 1 + static_cast<std::int64_t>(params_.columns[0].size());
  d.hidden = inputs[2].shape[0];
  d.features = inputs[10].shape[0];
  return d;
}

namespace {

void expect_columns(std::string_view op, const std::vector<std::vector<int>>& groups, const TensorSpec& s) {
  if (groups.empty())
    throw ShapeError(fmt::format("[{}] no group of columns; give at least one (it may be empty)", op));
  for (const auto& group : groups) {
    expect_extent(op, "columns of a group (all share one network)", static_cast<std::int64_t>(group.size()),
                  static_cast<std::int64_t>(groups[0].size()));
    for (const int column : group) {
      if (!s.present() || column < 0 || column >= s.shape[1]) {
        throw ShapeError(
            fmt::format("[{}] column {} is not one of s {}", op, column, s.present() ? s.shape.text() : "(absent)"));
      }
    }
  }
}

}  // namespace

Specs PointMlpOp::infer(const Specs& inputs) const {
  expect_extent(type(), "inputs", static_cast<std::int64_t>(inputs.size()), 2 + kPointMlpWeights);
  expect_rank(type(), "y", inputs[0], DType::f32, 2);
  if (inputs[1].present()) {
    expect_rank(type(), "s", inputs[1], DType::f32, 2);
    expect_extent(type(), "s pairs", inputs[1].shape[0], inputs[0].shape[1]);
  }
  expect_columns(type(), params_.columns, inputs[1]);
  expect_rank(type(), "w0", inputs[2], DType::f32, 2);
  expect_rank(type(), "w6", inputs[10], DType::f32, 2);
  const PointMlpDims d = dims(inputs);
  const Shape hidden{d.hidden};
  const Shape expected[kPointMlpWeights] = {{d.hidden, d.in},       hidden,      hidden, hidden,
                                            {d.hidden, d.hidden},   hidden,      hidden, hidden,
                                            {d.features, d.hidden}, {d.features}};
  constexpr const char* kNames[kPointMlpWeights] = {"w0", "b0",     "gamma1", "beta1", "w3",
                                                    "b3", "gamma4", "beta4",  "w6",    "b6"};
  for (std::size_t i = 0; i < kPointMlpWeights; ++i) expect_spec(type(), kNames[i], inputs[2 + i], f32(expected[i]));
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 2;
  if (d.cells() > kMost || d.tasks * d.features > kMost) {
    throw ShapeError(
        fmt::format("[{}] {} tasks of {} pairs are more rows than 32-bit indices count; use smaller batches", type(),
                    d.tasks, d.pairs));
  }
  const Shape h{d.tasks, d.groups * d.features};
  return {f32(h), i32(h)};
}

void PointMlpOp::gradient(GradientContext& g) const {
  if (g.wants(0)) throw ShapeError("[point_mlp] y wants a gradient, but targets have none; make it a constant input");
  std::vector<TensorId> inputs{g.grad(0), g.output(1)};
  std::vector<int> gradient_of;
  for (std::size_t i = 0; i < 2 + kPointMlpWeights; ++i) {
    inputs.push_back(g.input(i));
    if (i > 0) gradient_of.push_back(static_cast<int>(i));
  }
  g.emit("backward", std::make_shared<PointMlpBackwardOp>(params_), std::move(inputs), gradient_of);
}

namespace {
/// Multiplications that the cpu device needs for a row and unit up to layer 3: of both numbers of the row with what it
/// knows of the row's line, before and behind the ReLU. How often units change on the way depends on the data; not
/// counted.
constexpr std::int64_t kLineTerms = 4;
}  // namespace

std::unique_ptr<OpState> PointMlpOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(cpu::point_mlp_forward_workspace(dims(inputs)));
}

void PointMlpOp::run_cpu(const RunContext& c) const {
  cpu::point_mlp_forward(dims(c.input_specs()), params().options, point_mlp_inputs<float>(c, 0, columns()),
                         c.out<float>(0), c.out<std::int32_t>(1), c.workspace());
}

Work PointMlpOp::work(const Specs& in, const Specs& out) const {
  const PointMlpDims d = dims(in);
  const auto rows = static_cast<double>(d.cells() * d.groups);
  double elements = static_cast<double>(2 * out[0].shape.count());
  for (const TensorSpec& spec : in) elements += spec.present() ? static_cast<double>(spec.shape.count()) : 0;
  return {.flop = 2 * rows * static_cast<double>((d.in + d.hidden + d.features) * d.hidden),
          .bytes = 4 * elements,
          .bf16 = params_.options.math == ProductMath::bf16};
}

Work PointMlpOp::work_on_cpu(const RunContext& c) const {
  const PointMlpDims d = dims(c.input_specs());
  Work work = this->work(c.input_specs(), c.output_specs());
  work.dense_flop = work.flop;
  work.flop = 2 * static_cast<double>(cpu::point_mlp_forward_rows(d, c.workspace()) * d.hidden) *
              static_cast<double>(d.features + kLineTerms);
  return work;
}

PointMlpDims PointMlpBackwardOp::dims(const Specs& inputs) const {
  return forward_.dims({inputs.begin() + 2, inputs.end()});
}

Specs PointMlpBackwardOp::infer(const Specs& inputs) const {
  expect_extent(type(), "inputs", static_cast<std::int64_t>(inputs.size()), 4 + kPointMlpWeights);
  const Specs forward_inputs(inputs.begin() + 2, inputs.end());
  const Specs forward_outputs = forward_.infer(forward_inputs);
  expect_spec(type(), "dh", inputs[0], forward_outputs[0]);
  expect_spec(type(), "index", inputs[1], forward_outputs[1]);
  return {forward_inputs.begin() + 1, forward_inputs.end()};
}

std::unique_ptr<OpState> PointMlpBackwardOp::prepare(const Specs& inputs, const Specs& /*outputs*/) const {
  return std::make_unique<WorkspaceState>(cpu::point_mlp_backward_workspace(dims(inputs)));
}

void PointMlpBackwardOp::run_cpu(const RunContext& c) const {
  cpu::point_mlp_backward(dims(c.input_specs()), params().options, point_mlp_inputs<float>(c, 2, columns()),
                          c.in<float>(0), c.in<std::int32_t>(1), c.out<float>(0), c.accumulate(0),
                          point_mlp_weight_gradients<float>(c), c.workspace());
}

Work PointMlpBackwardOp::work(const Specs& in, const Specs& out) const {
  const PointMlpDims d = dims(in);
  const auto rows = static_cast<double>(d.tasks * d.groups * std::min(d.pairs, d.features));
  return work_of_rows(in, out, rows, 3 * (d.hidden + d.in));
}

Work PointMlpBackwardOp::work_on_cpu(const RunContext& c) const {
  const PointMlpDims d = dims(c.input_specs());
  const auto rows = static_cast<double>(cpu::point_mlp_backward_rows(d, c.workspace()));
  return work_of_rows(c.input_specs(), c.output_specs(), rows, 2 * kLineTerms);
}

Work PointMlpBackwardOp::work_of_rows(const Specs& in, const Specs& out, double rows, std::int64_t terms) const {
  const PointMlpDims d = dims(in);
  double elements = static_cast<double>(2 * in[0].shape.count());
  for (const TensorSpec& spec : out) elements += spec.present() ? 2 * static_cast<double>(spec.shape.count()) : 0;
  const auto hidden = static_cast<double>(d.hidden);
  const auto entries = static_cast<double>(d.tasks * d.groups * d.features);
  const auto all_rows = static_cast<double>(d.cells() * d.groups);
  return {.flop = 2 * rows * hidden * static_cast<double>(terms) + 4 * entries * hidden,
          .bytes = 4 * elements,
          // Through every row: both products of every layer; nothing of the forward pass again.
          .dense_flop = 4 * all_rows * hidden * static_cast<double>(d.in + d.hidden + d.features),
          .bf16 = params().options.math == ProductMath::bf16};
}

TensorId point_mlp(Graph& graph, const std::string& name, TensorId y, TensorId s, PointMlpParams params,
                   std::int64_t hidden, std::int64_t features, double input_gain) {
  std::vector<TensorId> inputs{y, s};
  const auto linear = [&](const char* layer, std::int64_t out, std::int64_t in, double gain = 1) {
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    inputs.push_back(
        graph.parameter(fmt::format("{}.{}.weight", name, layer), {out, in}, Initializer::uniform(gain * bound)));
    inputs.push_back(graph.parameter(fmt::format("{}.{}.bias", name, layer), {out}, Initializer::uniform(bound)));
  };
  const auto layer_norm = [&](const char* layer) {
    inputs.push_back(graph.parameter(fmt::format("{}.{}.weight", name, layer), {hidden}, Initializer::constant(1)));
    inputs.push_back(graph.parameter(fmt::format("{}.{}.bias", name, layer), {hidden}, Initializer::constant(0)));
  };
  const auto& columns = params.columns;
  const std::int64_t in_features = columns.empty() ? 1 : 1 + static_cast<std::int64_t>(columns[0].size());
  linear("0", hidden, in_features, input_gain);
  layer_norm("1");
  linear("3", hidden, hidden);
  layer_norm("4");
  linear("6", features, hidden);
  return graph.apply(name, std::make_shared<PointMlpOp>(std::move(params)), inputs)[0];
}

}  // namespace roap
