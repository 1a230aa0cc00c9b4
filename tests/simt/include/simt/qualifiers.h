#pragma once

// The words CUDA adds to C++. On the emulator, device code is ordinary code.

#define __host__
#define __device__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
#define __builtin_assume(condition) static_cast<void>(0)

// __constant__ and __shared__ variables would need copies that the emulator cannot tell apart from ordinary ones.
#define __constant__ \
  static_assert(false, "__constant__ is not supported by the emulator: pass a kernel parameter or use constexpr");
#define __shared__ \
  static_assert(false, "say ROAP_SHARED or dynamic_shared (kernels/common/shared.h) instead of __shared__");
