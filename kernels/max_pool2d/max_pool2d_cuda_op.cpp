#include "engine/cuda/storage.h"
#include "kernels/max_pool2d/max_pool2d_op.h"

namespace roap {

namespace {

void run_forward(const Op& op, const RunContext& c) {
  const MaxPool2dDims dims = static_cast<const MaxPool2dOp&>(op).dims(c.input_specs());
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::max_pool2d_forward(dims, c.in<T>(0), c.out<T>(0), c.out<std::uint8_t>(1), c.stream());
  });
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::max_pool2d_backward(static_cast<const MaxPool2dBackwardOp&>(op).dims(), c.in<T>(0), c.in<std::uint8_t>(1),
                              c.out<T>(0), c.accumulate(0), c.stream());
  });
}

}  // namespace

void max_pool2d_register_cuda() {
  register_cuda("max_pool2d", {run_forward});
  register_cuda("max_pool2d_backward", {run_backward});
}

}  // namespace roap
