#include "kernels/repeat_rows/repeat_rows_op.h"

namespace roap {

namespace {

void run_forward(const Op& op, const RunContext& c) {
  cuda::repeat_rows_forward(repeat_rows_dims(c.in_shape(0), static_cast<const RepeatRowsOp&>(op).copies()),
                            c.in<float>(0), c.out<float>(0), c.stream());
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::repeat_rows_backward(repeat_rows_dims(c.out_shape(0), static_cast<const RepeatRowsBackwardOp&>(op).copies()),
                             c.in<float>(0), c.out<float>(0), c.stream());
}

}  // namespace

void repeat_rows_register_cuda() {
  register_cuda("repeat_rows", {run_forward});
  register_cuda("repeat_rows_backward", {run_backward});
}

}  // namespace roap
