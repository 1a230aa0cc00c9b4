#pragma once

#include <string>
#include <vector>

#include "engine/graph.h"
#include "kernels/point_mlp/point_mlp.h"

namespace roap {

/// columns[g]: the columns of s that group g sees beside y. All groups have the same number of columns (they share one
/// network).
struct PointMlpParams {
  std::vector<std::vector<int>> columns;
  PointMlpOptions options;
};

/// Inputs y [tasks, pairs], s [pairs, symbols] (absent where no group has columns), then w0 [hidden, in], b0, gamma1,
/// beta1, w3 [hidden, hidden], b3, gamma4, beta4, w6 [features, hidden], b6, with in = 1 + columns of a group. Outputs
/// h [tasks, groups * features] and index i32 of the same shape, the winning pair.
class PointMlpOp : public Op {
 public:
  explicit PointMlpOp(PointMlpParams params);
  [[nodiscard]] std::string_view type() const override { return "point_mlp"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  /// Throws ShapeError where y wants a gradient: targets have none.
  void gradient(GradientContext& context) const override;
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  /// Counts every row (task, pair, group), though equal rows are computed once.
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] Work work_on_cpu(const RunContext& context) const override;

  [[nodiscard]] const PointMlpParams& params() const { return params_; }
  /// Sizes from the inputs of a forward node.
  [[nodiscard]] PointMlpDims dims(const Specs& inputs) const;
  /// Flattened columns [groups, in - 1].
  [[nodiscard]] const std::int32_t* columns() const { return columns_.data(); }

 private:
  PointMlpParams params_;
  std::vector<std::int32_t> columns_;
};

/// Inputs dh, index, then the inputs of the forward node; outputs ds and the ten weight gradients.
class PointMlpBackwardOp : public Op {
 public:
  explicit PointMlpBackwardOp(PointMlpParams params) : forward_(std::move(params)) {}
  [[nodiscard]] std::string_view type() const override { return "point_mlp_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t output) const override { return output == 0; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  /// Counts one winning row per task and pooled feature at most.
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  [[nodiscard]] Work work_on_cpu(const RunContext& context) const override;

  [[nodiscard]] PointMlpDims dims(const Specs& inputs) const;
  [[nodiscard]] const PointMlpParams& params() const { return forward_.params(); }
  [[nodiscard]] const std::int32_t* columns() const { return forward_.columns(); }

 private:
  /// `terms`: multiplications for a row and unit, up to layer 3.
  [[nodiscard]] Work work_of_rows(const Specs& inputs, const Specs& outputs, double rows, std::int64_t terms) const;
  PointMlpOp forward_;
};

inline constexpr std::size_t kPointMlpWeights = 10;

/// The kernel's view of inputs from `first` on, which are those of a forward node.
template <class T>
PointMlpInputs<T> point_mlp_inputs(const RunContext& c, std::size_t first, const std::int32_t* columns) {
  const auto in = [&](std::size_t i) { return c.in<T>(first + i); };
  return {in(0), in(1), columns, {in(2), in(3), in(4), in(5), in(6), in(7), in(8), in(9), in(10), in(11)}};
}

/// The weight gradients among the outputs of a backward node.
template <class T>
PointMlpWeights<T> point_mlp_weight_gradients(const RunContext& c) {
  const auto out = [&](std::size_t i) { return c.out<T>(i); };
  return {out(1), out(2), out(3), out(4), out(5), out(6), out(7), out(8), out(9), out(10)};
}

/// Appends the branch with weights NAME.{0,1,3,4,6}.{weight,bias}, initialised like torch.nn.Linear and
/// torch.nn.LayerNorm. y [tasks, pairs], s [pairs, symbols] or absent -> h [tasks, groups * features].
/// `input_gain` multiplies the initial weights (not the biases) of the first layer: the LayerNorm behind it hides their
/// common scale, so this is how finely the features tell nearby inputs apart at the start.
TensorId point_mlp(Graph& graph, const std::string& name, TensorId y, TensorId s, PointMlpParams params,
                   std::int64_t hidden, std::int64_t features, double input_gain = 1);

}  // namespace roap
