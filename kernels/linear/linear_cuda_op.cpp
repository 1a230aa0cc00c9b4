#include "engine/cuda/cuda.h"
#include "engine/cuda_library.h"
#include "kernels/linear/linear_op.h"
#ifdef ROAP_HAS_CUBLASLT
#include "kernels/linear/linear_cublaslt.h"
#endif

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

class CublasLtNode : public LibraryNode {
 public:
  CublasLtNode(cublaslt::LinearPass pass, const LinearDims& dims, ProductMath math)
      : pass_(pass), dims_(dims), plan_(cublaslt::linear_plan(pass, dims, math, AlgorithmChoice::measured)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return cublaslt::kWorkspaceBytes; }
  void run(const RunContext& c, std::span<void* const> outputs, std::byte* workspace) override {
    const float* bias = pass_ == cublaslt::LinearPass::forward ? c.in<float>(2) : nullptr;
    plan_->run(c.in<float>(0), c.in<float>(1), bias, static_cast<float*>(outputs[0]), false, workspace, c.stream());
    if (pass_ != cublaslt::LinearPass::backward_weight || outputs[1] == nullptr) return;
    cuda::linear_backward_bias(dims_, c.in<float>(0), static_cast<float*>(outputs[1]), c.stream());
  }

 private:
  cublaslt::LinearPass pass_;
  LinearDims dims_;
  std::unique_ptr<cublaslt::LinearPlan> plan_;
};

std::unique_ptr<LibraryNode> library_forward(const Op& op, const RunContext& c) {
  return std::make_unique<CublasLtNode>(cublaslt::LinearPass::forward, linear_dims(c.in_shape(0), c.in_shape(1)),
                                        static_cast<const LinearOp&>(op).math());
}

std::unique_ptr<LibraryNode> library_backward_data(const Op& op, const RunContext& c) {
  return std::make_unique<CublasLtNode>(cublaslt::LinearPass::backward_data, linear_dims(c.out_shape(0), c.in_shape(1)),
                                        static_cast<const LinearBackwardDataOp&>(op).math());
}

std::unique_ptr<LibraryNode> library_backward_weight(const Op& op, const RunContext& c) {
  return std::make_unique<CublasLtNode>(cublaslt::LinearPass::backward_weight, backward_weight_dims(c),
                                        static_cast<const LinearBackwardWeightOp&>(op).math());
}

#endif

}  // namespace

void linear_register_cuda() {
#ifdef ROAP_HAS_CUBLASLT
  register_cuda_library("linear", {"cuBLASLt", library_forward});
  register_cuda_library("linear_backward_data", {"cuBLASLt", library_backward_data});
  register_cuda_library("linear_backward_weight", {"cuBLASLt", library_backward_weight});
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
