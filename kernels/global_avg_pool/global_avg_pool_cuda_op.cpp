#include "engine/cuda/storage.h"
#include "kernels/global_avg_pool/global_avg_pool_op.h"

namespace roap {

namespace {

void run_forward(const Op& /*op*/, const RunContext& c) {
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::global_avg_pool_forward(global_avg_pool_dims(c.in_shape(0)), c.in<T>(0), c.out<float>(0), c.stream());
  });
}

void run_backward(const Op& /*op*/, const RunContext& c) {
  cuda::with_storage(c.out_dtype(0), [&]<class T>() {
    cuda::global_avg_pool_backward(global_avg_pool_dims(c.out_shape(0)), c.in<float>(0), c.out<T>(0), c.accumulate(0),
                                   c.stream());
  });
}

}  // namespace

void global_avg_pool_register_cuda() {
  register_cuda("global_avg_pool", {run_forward});
  register_cuda("global_avg_pool_backward", {run_backward});
}

}  // namespace roap
