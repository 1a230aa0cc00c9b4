#include "engine/cuda/state.h"
#include "kernels/adam_step/adam_step_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> prepare(const Op& /*op*/, const Specs& /*inputs*/, const Specs& /*outputs*/) {
  return std::make_unique<cuda::CounterState>(0, 1);
}

void run(const Op& op, const RunContext& c) {
  cuda::adam_step(c.in_shape(0).count(), static_cast<const AdamStepOp&>(op).params(), AdamStepOp::inputs(c),
                  AdamStepOp::outputs(c), c.state<cuda::CounterState>().counters(), c.stream());
}

}  // namespace

void adam_step_register_cuda() { register_cuda("adam_step", {run, prepare}); }

}  // namespace roap
