#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/point_max/point_max.h"

namespace roap {

/// Input x [sets, points, channels]; outputs y [sets, channels] and index i32 [sets, channels].
class PointMaxOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "point_max"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, index; output dx [sets, points, channels].
class PointMaxBackwardOp : public Op {
 public:
  explicit PointMaxBackwardOp(std::int64_t points) : points_(points) {}
  [[nodiscard]] std::string_view type() const override { return "point_max_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  std::int64_t points_;
};

/// Dims from x [sets, points, channels].
PointMaxDims point_max_dims(const Shape& x);

/// Appends the maximum over axis 1 of x [sets, points, channels] -> [sets, channels].
TensorId point_max(Graph& graph, const std::string& name, TensorId x);

}  // namespace roap
