#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

// What the project uses of CUB, on the emulator's memory.

namespace cub {

struct DeviceSelect {
  /// Copies the values whose flag is set, in order. With a null workspace it only says how large that has to be.
  template <class Value, class Flag, class Count>
  static cudaError_t Flagged(void* workspace, std::size_t& workspace_bytes, const Value* in, const Flag* flags,
                             Value* out, Count* selected, std::int64_t count, cudaStream_t /*stream*/) {
    constexpr std::size_t kSomething = 256;  // a caller that forgets the workspace fails
    if (workspace == nullptr) {
      workspace_bytes = kSomething;
      return cudaSuccess;
    }
    if (workspace_bytes < kSomething || count < 0) return cudaErrorInvalidValue;
    Count taken = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (flags[i]) out[taken++] = in[i];
    }
    *selected = taken;
    return cudaSuccess;
  }
};

}  // namespace cub
