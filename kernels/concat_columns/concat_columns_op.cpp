#include "kernels/concat_columns/concat_columns_op.h"

#include <numeric>

#include "engine/autodiff.h"

namespace roap {

Specs ConcatColumnsOp::infer(const Specs& inputs) const {
  if (inputs.empty()) throw ShapeError("[concat_columns] no inputs; give at least one matrix");
  std::int64_t columns = 0;
  for (const TensorSpec& input : inputs) {
    expect_rank(type(), "input", input, DType::f32, 2);
    expect_extent(type(), "rows of all inputs", input.shape[0], inputs[0].shape[0]);
    columns += input.shape[1];
  }
  return {f32({inputs[0].shape[0], columns})};
}

void ConcatColumnsOp::gradient(GradientContext& g) const {
  std::vector<std::int64_t> columns;
  for (const TensorSpec& spec : g.input_specs()) columns.push_back(spec.shape[1]);
  std::vector<int> gradient_of(columns.size());
  std::iota(gradient_of.begin(), gradient_of.end(), 0);
  g.emit("backward", std::make_shared<ConcatColumnsBackwardOp>(std::move(columns)), {g.grad(0)}, gradient_of);
}

std::vector<ColumnPart<const float>> ConcatColumnsOp::parts(const RunContext& c) {
  std::vector<ColumnPart<const float>> parts;
  for (std::size_t i = 0; i < c.input_specs().size(); ++i) parts.push_back({c.in<float>(i), c.in_shape(i)[1]});
  return parts;
}

void ConcatColumnsOp::run_cpu(const RunContext& c) const {
  cpu::concat_columns_forward(c.out_shape(0)[0], parts(c), c.out<float>(0));
}

Work ConcatColumnsOp::work(const Specs& /*in*/, const Specs& out) const {
  return {0, 4 * 2 * static_cast<double>(out[0].shape.count())};
}

Specs ConcatColumnsBackwardOp::infer(const Specs& inputs) const {
  expect_rank(type(), "dy", inputs[0], DType::f32, 2);
  expect_extent(type(), "dy columns", inputs[0].shape[1],
                std::accumulate(columns_.begin(), columns_.end(), std::int64_t{0}));
  Specs outputs;
  for (const std::int64_t columns : columns_) outputs.push_back(f32({inputs[0].shape[0], columns}));
  return outputs;
}

std::vector<ColumnPart<float>> ConcatColumnsBackwardOp::parts(const RunContext& c) const {
  std::vector<ColumnPart<float>> parts;
  for (std::size_t i = 0; i < columns_.size(); ++i) parts.push_back({c.out<float>(i), columns_[i], c.accumulate(i)});
  return parts;
}

void ConcatColumnsBackwardOp::run_cpu(const RunContext& c) const {
  cpu::concat_columns_backward(c.in_shape(0)[0], parts(c), c.in<float>(0));
}

Work ConcatColumnsBackwardOp::work(const Specs& in, const Specs& /*out*/) const {
  return {0, 4 * 2 * static_cast<double>(in[0].shape.count())};
}

TensorId concat_columns(Graph& graph, const std::string& name, std::vector<TensorId> inputs) {
  return graph.apply(name, std::make_shared<ConcatColumnsOp>(), std::move(inputs))[0];
}

}  // namespace roap
