#include "kernels/layer_norm/layer_norm_op.h"

namespace roap {

namespace {

void run_forward(const Op& op, const RunContext& c) {
  cuda::layer_norm_forward(static_cast<const LayerNormOp&>(op).dims(c.in_shape(0)), c.in<float>(0), c.in<float>(1),
                           c.in<float>(2), c.out<float>(0), c.out<float>(1), c.out<float>(2), c.stream());
}

std::unique_ptr<OpState> prepare_backward(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const LayerNormDims dims = static_cast<const LayerNormBackwardOp&>(op).dims(inputs[2].shape);
  return std::make_unique<WorkspaceState>(cuda::layer_norm_backward_workspace(dims));
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::layer_norm_backward(static_cast<const LayerNormBackwardOp&>(op).dims(c.in_shape(2)), c.in<float>(0),
                            c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4), c.in<float>(5),
                            c.out<float>(0), c.accumulate(0), c.out<float>(1), c.out<float>(2), c.workspace<float>(),
                            c.stream());
}

}  // namespace

void layer_norm_register_cuda() {
  register_cuda("layer_norm", {run_forward});
  register_cuda("layer_norm_backward", {run_backward, prepare_backward});
}

}  // namespace roap
