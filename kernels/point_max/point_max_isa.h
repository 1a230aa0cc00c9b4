#pragma once

#include "kernels/common/isa.h"
#include "kernels/point_max/point_max.h"

namespace roap::cpu {

/// One set: x [points, channels] -> y, index [channels].
ROAP_ISA_DISPATCH(void, point_max_set,
                  (std::int64_t points, std::int64_t channels, const float* x, float* y, std::int32_t* index),
                  (points, channels, x, y, index))

}  // namespace roap::cpu
