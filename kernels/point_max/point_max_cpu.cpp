#include "kernels/common/parallel.h"
#include "kernels/point_max/point_max_isa.h"

// One set per piece.

namespace roap::cpu {

void point_max_forward(const PointMaxDims& d, const float* x, float* y, std::int32_t* index) {
  parallel_for(d.sets, [&](std::int64_t n) {
    point_max_set(d.points, d.channels, x + n * d.points * d.channels, y + n * d.channels, index + n * d.channels);
  });
}

void point_max_backward(const PointMaxDims& d, const float* dy, const std::int32_t* index, float* dx, bool accumulate) {
  parallel_for(d.sets, [&](std::int64_t n) {
    float* set = dx + n * d.points * d.channels;
    if (!accumulate) std::fill_n(set, d.points * d.channels, 0.0f);
    for (std::int64_t k = 0; k < d.channels; ++k)
      set[index[n * d.channels + k] * d.channels + k] += dy[n * d.channels + k];
  });
}

}  // namespace roap::cpu
