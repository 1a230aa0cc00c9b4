#include "engine/cuda/state.h"
#include "kernels/task_loss/task_loss_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> prepare(const Op& /*op*/, const Specs& /*inputs*/, const Specs& /*outputs*/) {
  return std::make_unique<cuda::CounterState>(0, 1);
}

void run_forward(const Op& op, const RunContext& c) {
  cuda::task_loss_forward(task_loss_dims(c.in_shape(0), c.in_shape(1)), static_cast<const TaskLossOp&>(op).params(),
                          c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4),
                          c.in<float>(5), c.out<float>(0), c.out<float>(1), c.state<cuda::CounterState>().counters(),
                          c.stream());
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::task_loss_backward(task_loss_dims(c.in_shape(1), c.in_shape(2)),
                           static_cast<const TaskLossBackwardOp&>(op).params(), c.in<float>(0), c.in<float>(1),
                           c.in<float>(2), c.in<float>(3), c.in<float>(4), c.in<float>(5), c.in<float>(6),
                           c.out<float>(0), c.out<float>(1), c.stream());
}

}  // namespace

void task_loss_register_cuda() {
  register_cuda("task_loss", {run_forward, prepare});
  register_cuda("task_loss_backward", {run_backward});
}

}  // namespace roap
