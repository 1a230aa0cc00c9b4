#pragma once

#include "engine/op.h"

namespace roap {

/// y += x, or y = x where the node does not accumulate: the addition that autodiff inserts for an operator that can
/// only overwrite its gradient. Any shape.
class AddInPlaceOp : public Op {
 public:
  [[nodiscard]] std::string_view type() const override { return "add_in_place"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override { return {inputs[0]}; }
  [[nodiscard]] bool can_accumulate(std::size_t /*output*/) const override { return true; }
  void run_cpu(const RunContext& context) const override;
};

/// The definition, in the storage type of the device.
template <class Real>
void add_in_place(const RunContext& context) {
  const Real* x = context.in<Real>(0);
  Real* y = context.out<Real>(0);
  const std::int64_t count = context.in_shape(0).count();
  const Real keep = context.accumulate(0) ? Real{1} : Real{0};
  for (std::int64_t i = 0; i < count; ++i) y[i] = (keep != 0 ? y[i] : Real{0}) + x[i];
}

}  // namespace roap
