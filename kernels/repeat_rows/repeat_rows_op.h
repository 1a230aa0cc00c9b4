#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/repeat_rows/repeat_rows.h"

namespace roap {

/// Input x [rows, columns]; output [rows * copies, columns].
class RepeatRowsOp : public Op {
 public:
  explicit RepeatRowsOp(std::int64_t copies) : copies_(copies) {}
  [[nodiscard]] std::int64_t copies() const { return copies_; }
  [[nodiscard]] std::string_view type() const override { return "repeat_rows"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  std::int64_t copies_;
};

/// Input dy [rows * copies, columns]; output dx [rows, columns].
class RepeatRowsBackwardOp : public Op {
 public:
  explicit RepeatRowsBackwardOp(std::int64_t copies) : copies_(copies) {}
  [[nodiscard]] std::int64_t copies() const { return copies_; }
  [[nodiscard]] std::string_view type() const override { return "repeat_rows_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  std::int64_t copies_;
};

RepeatRowsDims repeat_rows_dims(const Shape& x, std::int64_t copies);

TensorId repeat_rows(Graph& graph, const std::string& name, TensorId x, std::int64_t copies);

}  // namespace roap
