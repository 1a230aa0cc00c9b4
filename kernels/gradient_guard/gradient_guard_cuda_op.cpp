#include "engine/cuda/state.h"
#include "kernels/gradient_guard/gradient_guard_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> prepare(const Op& /*op*/, const Specs& inputs, const Specs& /*outputs*/) {
  return std::make_unique<cuda::CounterState>(cuda::gradient_guard_workspace(inputs[1].shape.count()), 1);
}

void run(const Op& /*op*/, const RunContext& c) {
  cuda::gradient_guard(c.in_shape(1).count(), c.in<float>(0), c.in<float>(1), c.out<float>(0), c.workspace<double>(),
                       c.state<cuda::CounterState>().counters(), c.stream());
}

}  // namespace

void gradient_guard_register_cuda() { register_cuda("gradient_guard", {run, prepare}); }

}  // namespace roap
