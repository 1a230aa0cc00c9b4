#include "engine/cuda/add_in_place_cuda.h"
#include "kernels/reshape/reshape_op.h"

namespace roap {

namespace {

void run(const Op& /*op*/, const RunContext& c) {
  cuda::add_in_place(c.out_shape(0).count(), c.in<float>(0), c.out<float>(0), c.accumulate(0), c.stream());
}

}  // namespace

void reshape_register_cuda() { register_cuda("reshape", {run}); }

}  // namespace roap
