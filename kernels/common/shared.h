#pragma once

#include <cstddef>
#include <type_traits>

#include "kernels/common/device_code.h"

// The only way to shared memory. On a GPU these are plain __shared__ declarations; the emulator gives every block
// fresh, poisoned memory with guard zones between the arrays.
//
//   ROAP_SHARED(tile, float[32][33]);             // an array of the block, aligned as its type
//   ROAP_SHARED_ALIGNED(stage, 16, float[64]);    // the same, for 16-byte accesses
//   float* rows = dynamic_shared<float>(offset);  // dynamic memory (LaunchShape::shared_bytes), at a byte offset
//
// Shared memory holds no values at the start of a block, so types must need no constructor.

#ifdef ROAP_SIMT
#define ROAP_SHARED_ALIGNED(name, alignment, ...)                                                            \
  static_assert(std::is_trivially_default_constructible_v<std::type_identity_t<__VA_ARGS__>>);               \
  static constinit ::roap::simt::SharedArray name##_place{                                                   \
      #name, sizeof(std::type_identity_t<__VA_ARGS__>), alignment, std::source_location::current(), {}, {}}; \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>(::roap::simt::shared_memory(name##_place))
#else
#define ROAP_SHARED_ALIGNED(name, alignment, ...) __shared__ alignas(alignment) std::type_identity_t<__VA_ARGS__> name
#endif
#define ROAP_SHARED(name, ...) ROAP_SHARED_ALIGNED(name, alignof(std::type_identity_t<__VA_ARGS__>), __VA_ARGS__)

namespace roap::cuda {

/// Dynamic shared memory of the block from `byte_offset` on; offset 0 is aligned to 1024 bytes.
template <class T>
__device__ __forceinline__ T* dynamic_shared(std::size_t byte_offset = 0 ROAP_AND_CALLER) {
#ifdef ROAP_SIMT
  return static_cast<T*>(simt::dynamic_shared_memory(byte_offset, alignof(T), caller));
#else
  extern __shared__ __align__(1024) unsigned char roap_dynamic_shared[];
  return reinterpret_cast<T*>(roap_dynamic_shared + byte_offset);
#endif
}

}  // namespace roap::cuda
