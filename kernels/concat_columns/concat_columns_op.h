#pragma once

#include <string>
#include <vector>

#include "engine/graph.h"
#include "kernels/concat_columns/concat_columns.h"

namespace roap {

/// Inputs x_i [rows, columns_i]; output y [rows, sum of columns_i].
class ConcatColumnsOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "concat_columns"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  /// The inputs as launchers take them.
  [[nodiscard]] static std::vector<ColumnPart<const float>> parts(const RunContext& context);
};

/// Input dy [rows, all columns]; outputs dx_i [rows, columns[i]].
class ConcatColumnsBackwardOp : public Op {
 public:
  explicit ConcatColumnsBackwardOp(std::vector<std::int64_t> columns) : columns_(std::move(columns)) {}
  [[nodiscard]] std::string_view type() const override { return "concat_columns_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

  [[nodiscard]] const std::vector<std::int64_t>& columns() const { return columns_; }
  /// The outputs as launchers take them.
  [[nodiscard]] std::vector<ColumnPart<float>> parts(const RunContext& context) const;

 private:
  std::vector<std::int64_t> columns_;
};

/// Appends [x_0, x_1, ...], matrices of the same number of rows side by side.
TensorId concat_columns(Graph& graph, const std::string& name, std::vector<TensorId> inputs);

}  // namespace roap
