#include "kernels/soft_exec/soft_exec_op.h"

namespace roap {

namespace {

SoftExecDims dims_of(const Op& op, const RunContext& c) {
  return soft_exec_dims(static_cast<const SoftExecOp&>(op).params(), c.in_shape(0), c.in_shape(1));
}

SoftExecDims backward_dims_of(const Op& op, const RunContext& c) {
  return soft_exec_dims(static_cast<const SoftExecBackwardOp&>(op).params(), c.in_shape(1), c.in_shape(2));
}

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& in, const Specs& /*out*/) {
  return std::make_unique<WorkspaceState>(cuda::soft_exec_forward_workspace(
      soft_exec_dims(static_cast<const SoftExecOp&>(op).params(), in[0].shape, in[1].shape)));
}

std::unique_ptr<OpState> prepare_backward(const Op& op, const Specs& in, const Specs& /*out*/) {
  return std::make_unique<WorkspaceState>(cuda::soft_exec_backward_workspace(
      soft_exec_dims(static_cast<const SoftExecBackwardOp&>(op).params(), in[1].shape, in[2].shape)));
}

void run_forward(const Op& op, const RunContext& c) {
  cuda::soft_exec_forward(dims_of(op, c), c.in<float>(0), c.in<float>(1), c.out<float>(0), c.workspace<float>(),
                          c.stream());
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::soft_exec_backward(backward_dims_of(op, c), c.in<float>(0), c.in<float>(1), c.in<float>(2), c.out<float>(0),
                           c.accumulate(0), c.out<float>(1), c.accumulate(1), c.workspace<float>(), c.stream());
}

}  // namespace

void soft_exec_register_cuda() {
  register_cuda("soft_exec", {run_forward, prepare_forward});
  register_cuda("soft_exec_backward", {run_backward, prepare_backward});
}

}  // namespace roap
