#include "engine/cuda/storage.h"
#include "kernels/conv2d/conv2d_op.h"

namespace roap {

namespace {

class Conv2dCudaState : public OpState {
 public:
  Conv2dCudaState(Conv2dPass pass, const Conv2dDims& dims, DType dtype) {
    cuda::with_storage(dtype, [&]<class T>() { plan_ = cuda::conv2d_plan<T>(pass, dims); });
  }
  [[nodiscard]] std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const RunContext& c) const {
    plan_->run(c.in<void>(0), c.in<void>(1), c.out<void>(0), c.accumulate(0), c.workspace(), c.stream());
  }

 private:
  std::unique_ptr<cuda::Conv2dPlan> plan_;
};

void run(const Op& /*op*/, const RunContext& c) { c.state<Conv2dCudaState>().run(c); }

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const Conv2dDims dims = static_cast<const Conv2dOp&>(op).dims(inputs);
  return std::make_unique<Conv2dCudaState>(Conv2dPass::forward, dims, inputs[0].dtype);
}

std::unique_ptr<OpState> prepare_backward_data(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const Conv2dDims& dims = static_cast<const Conv2dBackwardDataOp&>(op).dims();
  return std::make_unique<Conv2dCudaState>(Conv2dPass::backward_data, dims, inputs[0].dtype);
}

std::unique_ptr<OpState> prepare_backward_weight(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const Conv2dDims& dims = static_cast<const Conv2dBackwardWeightOp&>(op).dims();
  return std::make_unique<Conv2dCudaState>(Conv2dPass::backward_weight, dims, inputs[0].dtype);
}

}  // namespace

void conv2d_register_cuda() {
  register_cuda("conv2d", {run, prepare_forward});
  register_cuda("conv2d_backward_data", {run, prepare_backward_data});
  register_cuda("conv2d_backward_weight", {run, prepare_backward_weight});
}

}  // namespace roap
