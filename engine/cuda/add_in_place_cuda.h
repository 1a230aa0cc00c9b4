#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"

namespace roap::cuda {

/// y += x, or y = x, for `count` elements. T is float or Bf16.
template <class T>
void add_in_place(std::int64_t count, const T* x, T* y, bool accumulate, Stream stream);

}  // namespace roap::cuda
