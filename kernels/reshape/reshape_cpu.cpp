#include "kernels/reshape/reshape.h"

#include "kernels/common/parallel.h"

namespace roap::cpu {

void reshape_copy(std::int64_t count, const float* from, float* to, bool accumulate) {
  constexpr std::int64_t kGrain = 1 << 16;
  parallel_ranges(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = accumulate ? to[i] + from[i] : from[i];
  });
}

}  // namespace roap::cpu
