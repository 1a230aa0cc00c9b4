#pragma once

#include "kernels/common/device_code.h"

namespace roap::ptx {

/// Orders this thread's ordinary accesses to shared memory before later ones by bulk copies and wgmma, which see memory
/// through another proxy: fence.proxy.async.shared::cta (sm_90). Each thread that wrote executes it, then comes the
/// barrier, then the asynchronous access.
ROAP_PTX void fence_proxy_async(ROAP_CALLER);

#ifndef ROAP_SIMT

__device__ __forceinline__ void fence_proxy_async() { ROAP_ASM_SM90("fence.proxy.async.shared::cta;" ::: "memory"); }

#endif

}  // namespace roap::ptx
