#pragma once

#include "kernels/common/device_code.h"

namespace roap::ptx {

// setmaxnreg_decrease<kRegisters>() and setmaxnreg_increase<kRegisters>(): setmaxnreg (sm_90a), which gives up
// registers, or waits for free ones and takes them, until each thread of the warpgroup has kRegisters (a multiple of 8,
// 24 to 256). All warps of the warpgroup execute it. It takes effect only in kernels with __launch_bounds__(threads,
// 1), where each warpgroup's role is one branch of a single if.

#ifdef ROAP_SIMT

void setmaxnreg(int registers, std::source_location caller);

template <int kRegisters>
void setmaxnreg_decrease(ROAP_CALLER) {
  setmaxnreg(kRegisters, caller);
}
template <int kRegisters>
void setmaxnreg_increase(ROAP_CALLER) {
  setmaxnreg(kRegisters, caller);
}

#else

template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_decrease() {
  ROAP_ASM_SM90A("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_increase() {
  ROAP_ASM_SM90A("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#endif

}  // namespace roap::ptx
