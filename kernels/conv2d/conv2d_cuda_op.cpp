#include "engine/cuda/cuda.h"
#include "engine/cuda/storage.h"
#include "engine/cuda_library.h"
#include "kernels/conv2d/conv2d_op.h"
#ifdef ROAP_HAS_CUDNN
#include "kernels/conv2d/conv2d_cudnn.h"
#endif

namespace roap {

namespace {

class Conv2dCudaState : public OpState {
 public:
  Conv2dCudaState(Conv2dPass pass, const Conv2dDims& dims, DType dtype) {
    cuda::with_storage(dtype, [&]<class T>() {
#ifdef ROAP_HAS_CUDNN
      if (cuda_options().cudnn) {
        plan_ = cuda::conv2d_cudnn_plan<T>(pass, dims);
        return;
      }
#endif
      plan_ = cuda::conv2d_plan<T>(pass, dims);
    });
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

#ifdef ROAP_HAS_CUDNN

class CudnnNode : public LibraryNode {
 public:
  CudnnNode(Conv2dPass pass, const Conv2dDims& dims, DType dtype) {
    cuda::with_storage(dtype, [&]<class T>() { plan_ = cuda::conv2d_tuned_cudnn_plan<T>(pass, dims); });
  }
  [[nodiscard]] std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const RunContext& c, std::span<void* const> outputs, std::byte* workspace) override {
    plan_->run(c.in<void>(0), c.in<void>(1), outputs[0], false, workspace, c.stream());
  }

 private:
  std::unique_ptr<cuda::Conv2dPlan> plan_;
};

std::unique_ptr<LibraryNode> cudnn_forward(const Op& op, const RunContext& c) {
  const Conv2dDims dims = static_cast<const Conv2dOp&>(op).dims(c.input_specs());
  return std::make_unique<CudnnNode>(Conv2dPass::forward, dims, c.in_dtype(0));
}

std::unique_ptr<LibraryNode> cudnn_backward_data(const Op& op, const RunContext& c) {
  const Conv2dDims& dims = static_cast<const Conv2dBackwardDataOp&>(op).dims();
  return std::make_unique<CudnnNode>(Conv2dPass::backward_data, dims, c.in_dtype(0));
}

std::unique_ptr<LibraryNode> cudnn_backward_weight(const Op& op, const RunContext& c) {
  const Conv2dDims& dims = static_cast<const Conv2dBackwardWeightOp&>(op).dims();
  return std::make_unique<CudnnNode>(Conv2dPass::backward_weight, dims, c.in_dtype(0));
}

#endif

}  // namespace

void conv2d_register_cuda() {
#ifdef ROAP_HAS_CUDNN
  register_cuda_library("conv2d", {"cuDNN", cudnn_forward});
  register_cuda_library("conv2d_backward_data", {"cuDNN", cudnn_backward_data});
  register_cuda_library("conv2d_backward_weight", {"cuDNN", cudnn_backward_weight});
#endif
  register_cuda("conv2d", {run, prepare_forward});
  register_cuda("conv2d_backward_data", {run, prepare_backward_data});
  register_cuda("conv2d_backward_weight", {run, prepare_backward_weight});
}

}  // namespace roap
