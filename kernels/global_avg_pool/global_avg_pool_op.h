#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/global_avg_pool/global_avg_pool.h"

namespace roap {

/// Input x [n, h, w, c] (f32 or bf16); output y [n, c], always f32.
class GlobalAvgPoolOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "global_avg_pool"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Input dy [n, c]; output dx of the type and shape given.
class GlobalAvgPoolBackwardOp : public Op {
 public:
  explicit GlobalAvgPoolBackwardOp(const TensorSpec& x) : x_(x) {}
  [[nodiscard]] std::string_view type() const override { return "global_avg_pool_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  TensorSpec x_;
};

/// Images, pixels and channels of x [n, h, w, c].
GlobalAvgPoolDims global_avg_pool_dims(const Shape& x);

/// Appends the pooling.
TensorId global_avg_pool(Graph& graph, const std::string& name, TensorId x);

}  // namespace roap
