#include "kernels/linear/linear_op.h"

namespace roap {

namespace {

void run_forward(const Op& /*op*/, const RunContext& c) {
  cuda::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1), c.in<float>(2),
                       c.out<float>(0), c.stream());
}

void run_backward_data(const Op& /*op*/, const RunContext& c) {
  cuda::linear_backward_data(linear_dims(c.out_shape(0), c.in_shape(1)), c.in<float>(0), c.in<float>(1),
                             c.out<float>(0), c.accumulate(0), c.stream());
}

void run_backward_weight(const Op& /*op*/, const RunContext& c) {
  const LinearDims dims{c.in_shape(1)[0], c.in_shape(1)[1], c.in_shape(0)[1]};
  cuda::linear_backward_weight(dims, c.in<float>(0), c.in<float>(1), c.out<float>(0), c.out<float>(1), c.stream());
}

}  // namespace

void linear_register_cuda() {
  register_cuda("linear", {run_forward});
  register_cuda("linear_backward_data", {run_backward_data});
  register_cuda("linear_backward_weight", {run_backward_weight});
}

}  // namespace roap
