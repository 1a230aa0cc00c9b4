#include "kernels/point_mlp/point_mlp_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const auto& mlp = static_cast<const PointMlpOp&>(op);
  return std::make_unique<WorkspaceState>(cuda::point_mlp_forward_workspace(mlp.dims(inputs), mlp.params().options));
}

void run_forward(const Op& op, const RunContext& c) {
  const auto& mlp = static_cast<const PointMlpOp&>(op);
  cuda::point_mlp_forward(mlp.dims(c.input_specs()), mlp.params().options, point_mlp_inputs<float>(c, 0, mlp.columns()),
                          c.out<float>(0), c.out<std::int32_t>(1), c.workspace(), c.stream());
}

std::unique_ptr<OpState> prepare_backward(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const auto& mlp = static_cast<const PointMlpBackwardOp&>(op);
  return std::make_unique<WorkspaceState>(cuda::point_mlp_backward_workspace(mlp.dims(inputs), mlp.params().options));
}

void run_backward(const Op& op, const RunContext& c) {
  const auto& mlp = static_cast<const PointMlpBackwardOp&>(op);
  cuda::point_mlp_backward(mlp.dims(c.input_specs()), mlp.params().options,
                           point_mlp_inputs<float>(c, 2, mlp.columns()), c.in<float>(0), c.in<std::int32_t>(1),
                           c.out<float>(0), c.accumulate(0), point_mlp_weight_gradients<float>(c), c.workspace(),
                           c.stream());
}

}  // namespace

void point_mlp_register_cuda() {
  register_cuda("point_mlp", {run_forward, prepare_forward});
  register_cuda("point_mlp_backward", {run_backward, prepare_backward});
}

}  // namespace roap
