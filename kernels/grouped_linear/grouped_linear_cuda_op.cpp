#include "kernels/grouped_linear/grouped_linear_op.h"

namespace roap {

namespace {

void run_forward(const Op& op, const RunContext& c) {
  cuda::grouped_linear_forward(grouped_linear_dims(c.in_shape(0), c.in_shape(1), c.out_shape(0)),
                               static_cast<const GroupedLinearOp&>(op).params(), c.in<float>(0), c.in<float>(1),
                               c.in<float>(2), c.out<float>(0), c.stream());
}

std::unique_ptr<OpState> prepare_backward(const Op& /*op*/, const Specs& inputs, const Specs& /*outputs*/) {
  const GroupedLinearDims dims = grouped_linear_dims(inputs[2].shape, inputs[3].shape, inputs[0].shape);
  return std::make_unique<WorkspaceState>(cuda::grouped_linear_backward_workspace(dims));
}

void run_backward(const Op& /*op*/, const RunContext& c) {
  cuda::grouped_linear_backward(grouped_linear_dims(c.in_shape(2), c.in_shape(3), c.in_shape(0)),
                                GroupedLinearBackwardOp::inputs(c), GroupedLinearBackwardOp::gradients(c),
                                c.workspace(), c.stream());
}

}  // namespace

void grouped_linear_register_cuda() {
  register_cuda("grouped_linear", {run_forward});
  register_cuda("grouped_linear_backward", {run_backward, prepare_backward});
}

}  // namespace roap
