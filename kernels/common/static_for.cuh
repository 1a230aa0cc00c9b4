#pragma once

#include "kernels/common/device_code.h"
#include "kernels/common/host_device.h"

namespace roap::cuda {

/// A number that the type carries: converts to int in constant expressions too.
template <int kIndex>
struct StaticIndex {
  ROAP_HOST_DEVICE constexpr operator int() const { return kIndex; }
};

/// Calls body(StaticIndex<i>{}) for i in [kBegin, kEnd). For loops whose counter indexes registers and
/// bounds other loops: nothing is left for the compiler to decide.
template <int kBegin, int kEnd, class Body>
__device__ __forceinline__ void static_for(Body&& body) {
  if constexpr (kBegin < kEnd) {
    body(StaticIndex<kBegin>{});
    static_for<kBegin + 1, kEnd>(body);
  }
}

}  // namespace roap::cuda
