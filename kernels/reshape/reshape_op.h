#pragma once

#include <string>

#include "engine/graph.h"

namespace roap {

/// Input x f32; output the same elements in `shape`. Its gradient is a reshape back, or stops here.
class ReshapeOp : public Op {
 public:
  explicit ReshapeOp(Shape shape, bool stop_gradient = false) : shape_(shape), stop_gradient_(stop_gradient) {}
  [[nodiscard]] std::string_view type() const override { return "reshape"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  Shape shape_;
  bool stop_gradient_;
};

/// Appends x as a tensor of `shape`, which must have as many elements.
TensorId reshape(Graph& graph, const std::string& name, TensorId x, Shape shape);
/// Appends a copy of x through which no gradient flows back.
TensorId stop_gradient(Graph& graph, const std::string& name, TensorId x);

}  // namespace roap
