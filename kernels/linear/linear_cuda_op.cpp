#include "engine/cuda/cuda.h"
#include "kernels/linear/linear_op.h"

namespace roap {

namespace {

void run_forward(const Op& op, const RunContext& c) {
  cuda::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), static_cast<const LinearOp&>(op).math(),
                       c.in<float>(0), c.in<float>(1), c.in<float>(2), c.out<float>(0), c.stream());
}

void run_backward_data(const Op& op, const RunContext& c) {
  cuda::linear_backward_data(linear_dims(c.out_shape(0), c.in_shape(1)),
                             static_cast<const LinearBackwardDataOp&>(op).math(), c.in<float>(0), c.in<float>(1),
                             c.out<float>(0), c.accumulate(0), c.stream());
}

LinearDims backward_weight_dims(const RunContext& c) { return {c.in_shape(1)[0], c.in_shape(1)[1], c.in_shape(0)[1]}; }

void run_backward_weight(const Op& op, const RunContext& c) {
  cuda::linear_backward_weight(backward_weight_dims(c), static_cast<const LinearBackwardWeightOp&>(op).math(),
                               c.in<float>(0), c.in<float>(1), c.out<float>(0), c.out<float>(1), c.stream());
}

#ifdef ROAP_HAS_CUBLASLT

namespace cublaslt = cuda::cublaslt;

void run_cublaslt_forward(const Op& /*op*/, const RunContext& c) {
  cublaslt::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                           c.out<float>(0), c.workspace(), c.stream());
}

void run_cublaslt_backward_data(const Op& /*op*/, const RunContext& c) {
  cublaslt::linear_backward_data(linear_dims(c.out_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1),
                                 c.out<float>(0), c.accumulate(0), c.workspace(), c.stream());
}

void run_cublaslt_backward_weight(const Op& /*op*/, const RunContext& c) {
  cublaslt::linear_backward_weight(backward_weight_dims(c), c.in<float>(0), c.in<float>(1), c.out<float>(0),
                                   c.out<float>(1), c.workspace(), c.stream());
}

std::unique_ptr<OpState> prepare_cublaslt(const Op& /*op*/, const Specs& /*inputs*/, const Specs& /*outputs*/) {
  return std::make_unique<WorkspaceState>(cublaslt::kWorkspaceBytes);
}

#endif

}  // namespace

void linear_register_cuda() {
#ifdef ROAP_HAS_CUBLASLT
  if (cuda_options().cublaslt) {
    register_cuda("linear", {run_cublaslt_forward, prepare_cublaslt});
    register_cuda("linear_backward_data", {run_cublaslt_backward_data, prepare_cublaslt});
    register_cuda("linear_backward_weight", {run_cublaslt_backward_weight, prepare_cublaslt});
    return;
  }
#endif
  register_cuda("linear", {run_forward});
  register_cuda("linear_backward_data", {run_backward_data});
  register_cuda("linear_backward_weight", {run_backward_weight});
}

}  // namespace roap
