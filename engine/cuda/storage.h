#pragma once

#include "engine/tensor.h"
#include "kernels/common/cuda_types.h"

namespace roap::cuda {

/// Calls use.operator()<T>() with the type that the device stores a real tensor as: float or Bf16.
template <class Use>
void with_storage(DType dtype, Use&& use) {
  if (dtype == DType::bf16) {
    use.template operator()<Bf16>();
  } else {
    use.template operator()<float>();
  }
}

}  // namespace roap::cuda
