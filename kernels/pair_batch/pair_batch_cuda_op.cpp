#include "kernels/pair_batch/pair_batch_op.h"

namespace roap {

namespace {

void run(const Op& op, const RunContext& c) {
  cuda::pair_batch(static_cast<const PairBatchOp&>(op).dims(c.input_specs()), c.in<std::uint32_t>(0),
                   c.in<std::int32_t>(1), c.in<std::int32_t>(2), c.in<float>(3), c.out<std::int32_t>(0),
                   c.out<float>(1), c.stream());
}

}  // namespace

void pair_batch_register_cuda() { register_cuda("pair_batch", {run}); }

}  // namespace roap
