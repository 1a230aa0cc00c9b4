#include <algorithm>
#include <optional>

#include "engine/cuda/cuda.h"
#include "engine/cuda/state.h"
#include "engine/cuda/storage.h"
#include "engine/cuda_library.h"
#include "kernels/conv2d/conv2d_op.h"
#ifdef ROAP_HAS_CUDNN
#include "kernels/conv2d/conv2d_cudnn.h"
#endif

namespace roap {

namespace {

template <class T>
std::unique_ptr<cuda::Conv2dPlan> make_plan(Conv2dPass pass, const Conv2dDims& dims, int members) {
#ifdef ROAP_HAS_CUDNN
  if (cuda_options().cudnn) return cuda::conv2d_cudnn_plan<T>(pass, dims, AlgorithmChoice::estimated);
#endif
  return cuda::conv2d_plan<T>(pass, dims, members);
}

class Conv2dCudaState : public OpState {
 public:
  Conv2dCudaState(Conv2dPass pass, const Conv2dDims& dims, DType dtype, int members = 1) {
    cuda::with_storage(dtype, [&]<class T>() { plan_ = make_plan<T>(pass, dims, members); });
  }
  [[nodiscard]] std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const RunContext& c) const {
    plan_->run(c.in<void>(0), c.in<void>(1), c.out<void>(0), c.accumulate(0), c.workspace(), c.stream());
  }
  void run_members(const RunContext& c) const {
    std::vector<cuda::Conv2dMember> members;
    for (std::size_t i = 0; i < c.output_specs().size(); ++i) {
      members.push_back({c.in<void>(2 * i), c.in<void>(2 * i + 1), c.out<float>(i)});
    }
    plan_->run_members(members, c.workspace(), c.stream());
  }

 private:
  std::unique_ptr<cuda::Conv2dPlan> plan_;
};

/// Forward with the moments of y, which our kernels for bf16 find on the way.
class Conv2dMomentsCudaState : public OpState {
 public:
  explicit Conv2dMomentsCudaState(const Conv2dDims& dims) : plan_(cuda::conv2d_moments_plan(dims)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const RunContext& c) const {
    plan_->run_with_moments(c.in<void>(0), c.in<void>(1), c.out<void>(0), c.out<float>(1), c.out<float>(2),
                            c.workspace(), c.stream());
  }

 private:
  std::unique_ptr<cuda::Conv2dMomentsPlan> plan_;
};

/// The same where y has to be read again.
class Conv2dThenMomentsCudaState : public Conv2dCudaState {
 public:
  Conv2dThenMomentsCudaState(const Conv2dDims& d, DType dtype)
      : Conv2dCudaState(Conv2dPass::forward, d, dtype), dims_{d.output_rows(), d.co} {
    cuda::with_storage(dtype, [&]<class T>() {
      statistics_.emplace(cuda::batch_norm_workspace_bytes<T>(dims_), cuda::batch_norm_counters<T>(dims_));
    });
  }
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return std::max(Conv2dCudaState::workspace_bytes(), statistics_->workspace_bytes());
  }
  void run_both(const RunContext& c) const {
    run(c);
    cuda::with_storage(c.in_dtype(0), [&]<class T>() {
      cuda::batch_norm_statistics(dims_, static_cast<const T*>(c.out<T>(0)), c.out<float>(1), c.out<float>(2),
                                  {c.workspace(), statistics_->counters()}, c.stream());
    });
  }

 private:
  BatchNormDims dims_;
  std::optional<cuda::CounterState> statistics_;
};

bool finds_moments(DType dtype) {
#ifdef ROAP_HAS_CUDNN
  if (cuda_options().cudnn) return false;
#endif
  return dtype == DType::bf16;
}

void run(const Op& /*op*/, const RunContext& c) { c.state<Conv2dCudaState>().run(c); }
void run_backward_weight(const Op& /*op*/, const RunContext& c) { c.state<Conv2dCudaState>().run_members(c); }

void run_forward(const Op& op, const RunContext& c) {
  if (!static_cast<const Conv2dOp&>(op).moments()) return run(op, c);
  if (finds_moments(c.in_dtype(0))) return c.state<Conv2dMomentsCudaState>().run(c);
  c.state<Conv2dThenMomentsCudaState>().run_both(c);
}

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const auto& conv = static_cast<const Conv2dOp&>(op);
  const Conv2dDims dims = conv.dims(inputs);
  const DType dtype = inputs[0].dtype;
  if (!conv.moments()) return std::make_unique<Conv2dCudaState>(Conv2dPass::forward, dims, dtype);
  if (finds_moments(dtype)) return std::make_unique<Conv2dMomentsCudaState>(dims);
  return std::make_unique<Conv2dThenMomentsCudaState>(dims, dtype);
}

std::unique_ptr<OpState> prepare_backward_data(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const Conv2dDims& dims = static_cast<const Conv2dBackwardDataOp&>(op).dims();
  return std::make_unique<Conv2dCudaState>(Conv2dPass::backward_data, dims, inputs[0].dtype);
}

std::unique_ptr<OpState> prepare_backward_weight(const Op& op, const Specs& inputs, const Specs& /*outputs*/) {
  const auto& weight = static_cast<const Conv2dBackwardWeightOp&>(op);
  return std::make_unique<Conv2dCudaState>(Conv2dPass::backward_weight, weight.dims(), inputs[0].dtype,
                                           weight.members());
}

#ifdef ROAP_HAS_CUDNN

class CudnnNode : public LibraryNode {
 public:
  CudnnNode(Conv2dPass pass, const Conv2dDims& dims, DType dtype) : pass_(pass) {
    cuda::with_storage(dtype,
                       [&]<class T>() { plan_ = cuda::conv2d_cudnn_plan<T>(pass, dims, AlgorithmChoice::measured); });
  }
  [[nodiscard]] std::size_t workspace_bytes() const override { return plan_->workspace_bytes(); }
  void run(const RunContext& c, std::span<void* const> outputs, std::byte* workspace) override {
    const std::size_t members = pass_ == Conv2dPass::backward_weight ? outputs.size() : 1;
    for (std::size_t i = 0; i < members; ++i) {
      plan_->run(c.in<void>(2 * i), c.in<void>(2 * i + 1), outputs[i], false, workspace, c.stream());
    }
  }

 private:
  Conv2dPass pass_;
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
  register_cuda("conv2d", {run_forward, prepare_forward});
  register_cuda("conv2d_backward_data", {run, prepare_backward_data});
  register_cuda("conv2d_backward_weight", {run_backward_weight, prepare_backward_weight});
}

}  // namespace roap
