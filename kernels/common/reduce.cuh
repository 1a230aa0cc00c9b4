#pragma once

#include "kernels/common/shared.h"

// Reductions of one value per thread. Their shape depends on template arguments alone, so that results are the same
// bits in every run; every thread gets the result. All lanes of the warp (all threads of the block) must call them.

namespace roap::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

/// Index of the warp in a block of threads along x. The compiler knows that all lanes have the same, so that it keeps
/// one copy of the code under conditions on it, where it would add another for lanes that go separate ways.
__device__ __forceinline__ int uniform_warp(ROAP_CALLER) {
  return __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarpSize, 0, kWarpSize ROAP_AND_PASS_CALLER);
}

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
/// The larger one; NaN if either is, so that all lanes agree on it.
struct Max {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a > b || is_nan(a) ? a : b;
  }
  template <class T>
  __device__ static __forceinline__ bool is_nan(T a) {
    if constexpr (std::is_floating_point_v<T>) return a != a;
    return false;
  }
};
struct Min {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a < b || Max::is_nan(a) ? a : b;
  }
};

/// Reduces each group of kLanes neighbouring lanes by halving: 2, 4, 8, 16 or 32.
template <int kLanes, class T, class Op>
__device__ __forceinline__ T group_reduce(T x, Op op ROAP_AND_CALLER) {
  static_assert(kLanes >= 2 && kLanes <= kWarpSize && (kLanes & (kLanes - 1)) == 0);
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) {
    x = op(x, __shfl_xor_sync(kAllLanes, x, offset, kWarpSize ROAP_AND_PASS_CALLER));
  }
  return x;
}

/// Reduces a block of kThreads threads along x, a multiple of 32: each warp by halving, then the warps in their order.
/// Contains two block barriers.
template <int kThreads, class T, class Op>
__device__ __forceinline__ T block_reduce(T x, Op op ROAP_AND_CALLER) {
  constexpr int kWarps = kThreads / kWarpSize;
  static_assert(kThreads % kWarpSize == 0 && kWarps >= 1 && kWarps <= 32);
  x = group_reduce<kWarpSize>(x, op ROAP_AND_PASS_CALLER);
  if constexpr (kWarps > 1) {
    ROAP_SHARED(of_warp, T[kWarps]);
    __syncthreads(ROAP_PASS_CALLER);  // an earlier call's values may still be read
    if (threadIdx.x % kWarpSize == 0) of_warp[threadIdx.x / kWarpSize] = x;
    __syncthreads(ROAP_PASS_CALLER);
    x = of_warp[0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) x = op(x, of_warp[warp]);
  }
  return x;
}

template <int kLanes, class T>
__device__ __forceinline__ T group_sum(T x ROAP_AND_CALLER) {
  return group_reduce<kLanes>(
      x, Sum {} ROAP_AND_PASS_CALLER);
}
template <int kLanes, class T>
__device__ __forceinline__ T group_max(T x ROAP_AND_CALLER) {
  return group_reduce<kLanes>(
      x, Max {} ROAP_AND_PASS_CALLER);
}

template <class T>
__device__ __forceinline__ T warp_sum(T x ROAP_AND_CALLER) {
  return group_reduce<kWarpSize>(
      x, Sum {} ROAP_AND_PASS_CALLER);
}
template <class T>
__device__ __forceinline__ T warp_max(T x ROAP_AND_CALLER) {
  return group_reduce<kWarpSize>(
      x, Max {} ROAP_AND_PASS_CALLER);
}
template <class T>
__device__ __forceinline__ T warp_min(T x ROAP_AND_CALLER) {
  return group_reduce<kWarpSize>(
      x, Min {} ROAP_AND_PASS_CALLER);
}

template <int kThreads, class T>
__device__ __forceinline__ T block_sum(T x ROAP_AND_CALLER) {
  return block_reduce<kThreads>(
      x, Sum {} ROAP_AND_PASS_CALLER);
}
template <int kThreads, class T>
__device__ __forceinline__ T block_max(T x ROAP_AND_CALLER) {
  return block_reduce<kThreads>(
      x, Max {} ROAP_AND_PASS_CALLER);
}
template <int kThreads, class T>
__device__ __forceinline__ T block_min(T x ROAP_AND_CALLER) {
  return block_reduce<kThreads>(
      x, Min {} ROAP_AND_PASS_CALLER);
}

/// Sums each of kCount values over the warp, kCount a power of two up to 32: lane l gets the sum of x[l kCount / 32].
/// Lanes exchange halves of their values, which takes kCount - 1 + log2(32 / kCount) shuffles instead of 5 kCount.
template <int kCount, int kOffset = kWarpSize / 2>
__device__ __forceinline__ float warp_sum_each(const float (&x)[kCount] ROAP_AND_CALLER) {
  static_assert(kCount >= 1 && kCount <= kWarpSize && (kCount & (kCount - 1)) == 0);
  if constexpr (kCount == 1) {
    if constexpr (kOffset > 0) return group_sum<2 * kOffset>(x[0] ROAP_AND_PASS_CALLER);
    return x[0];
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = (threadIdx.x & kOffset) != 0;
    float kept[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float given = upper ? x[i] : x[i + kHalf];
      kept[i] =
          (upper ? x[i + kHalf] : x[i]) + __shfl_xor_sync(kAllLanes, given, kOffset, kWarpSize ROAP_AND_PASS_CALLER);
    }
    return warp_sum_each<kHalf, kOffset / 2>(kept ROAP_AND_PASS_CALLER);
  }
}

}  // namespace roap::cuda
