#include "kernels/concat_columns/concat_columns_op.h"

namespace roap {

namespace {

void run_forward(const Op& /*op*/, const RunContext& c) {
  cuda::concat_columns_forward(c.out_shape(0)[0], ConcatColumnsOp::parts(c), c.out<float>(0), c.stream());
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::concat_columns_backward(c.in_shape(0)[0], static_cast<const ConcatColumnsBackwardOp&>(op).parts(c),
                                c.in<float>(0), c.stream());
}

}  // namespace

void concat_columns_register_cuda() {
  register_cuda("concat_columns", {run_forward});
  register_cuda("concat_columns_backward", {run_backward});
}

}  // namespace roap
