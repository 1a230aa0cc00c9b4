#include "engine/add_in_place.h"

#include "kernels/common/parallel.h"

namespace roap {

void AddInPlaceOp::run_cpu(const RunContext& context) const {
  const float* x = context.in<float>(0);
  float* y = context.out<float>(0);
  const bool accumulate = context.accumulate(0);
  parallel_ranges(context.in_shape(0).count(), 16384, [=](std::int64_t begin, std::int64_t end) {
    if (accumulate) {
      for (std::int64_t i = begin; i < end; ++i) y[i] += x[i];
    } else {
      for (std::int64_t i = begin; i < end; ++i) y[i] = x[i];
    }
  });
}

}  // namespace roap
