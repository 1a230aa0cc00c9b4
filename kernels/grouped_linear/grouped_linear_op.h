#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/grouped_linear/grouped_linear.h"

namespace roap {

/// Inputs x [groups, rows, in] or [rows, in], w [groups, out, in] or [out, in], b [groups, out], which may be absent
/// where x or w says how many groups there are; output y [groups, rows, out].
class GroupedLinearOp : public OpWith<GroupedLinearParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "grouped_linear"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void gradient(GradientContext& context) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

/// Inputs dy, y (with ReLU only), x, w; outputs dx, dw, db.
class GroupedLinearBackwardOp : public OpWith<GroupedLinearParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "grouped_linear_backward"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  [[nodiscard]] bool can_accumulate(std::size_t output) const override { return output == 0; }
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
  /// As launchers take them.
  [[nodiscard]] static GroupedLinearInputs inputs(const RunContext& context);
  [[nodiscard]] static GroupedLinearGradients gradients(const RunContext& context);
};

/// Dims from x, w and y (or dy).
GroupedLinearDims grouped_linear_dims(const Shape& x, const Shape& w, const Shape& y);

/// What the groups of a layer share.
enum class GroupWeights { own, shared };

/// Appends y [groups, rows, out] = x w' + b for x [groups, rows, in], or [rows, in] of all groups, with weights
/// NAME.weight [groups, out, in] (shared: [out, in]) and NAME.bias [groups, out], initialised like a torch.nn.Linear
/// with `fan_in` inputs (0: those of x).
TensorId grouped_linear(Graph& graph, const std::string& name, TensorId x, std::int64_t groups,
                        std::int64_t out_features, GroupedLinearParams params = {},
                        GroupWeights weights = GroupWeights::own, std::int64_t fan_in = 0);

}  // namespace roap
