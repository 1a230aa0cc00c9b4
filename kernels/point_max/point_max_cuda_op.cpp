#include "kernels/point_max/point_max_op.h"

namespace roap {

namespace {

void run_forward(const Op& /*op*/, const RunContext& c) {
  cuda::point_max_forward(point_max_dims(c.in_shape(0)), c.in<float>(0), c.out<float>(0), c.out<std::int32_t>(1),
                          c.stream());
}

void run_backward(const Op& /*op*/, const RunContext& c) {
  cuda::point_max_backward(point_max_dims(c.out_shape(0)), c.in<float>(0), c.in<std::int32_t>(1), c.out<float>(0),
                           c.accumulate(0), c.stream());
}

}  // namespace

void point_max_register_cuda() {
  register_cuda("point_max", {run_forward});
  register_cuda("point_max_backward", {run_backward});
}

}  // namespace roap
