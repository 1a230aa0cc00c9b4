#pragma once

#include "kernels/common/device_code.h"

namespace roap::ptx {

/// x, of which the compiler knows nothing any more: what is computed from it inside a loop is not computed before the
/// loop and kept in registers that the loop needs.
__device__ __forceinline__ std::uint32_t opaque(std::uint32_t x) {
#ifndef ROAP_SIMT
  asm volatile("" : "+r"(x));
#endif
  return x;
}

}  // namespace roap::ptx
