#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

// What the project uses of CUB, on the emulator's memory.

namespace cub {

struct DeviceRadixSort {
  /// Sorts pairs by key, stable. With a null workspace it only says how large that has to be.
  template <class Key, class Value>
  static cudaError_t SortPairs(void* workspace, std::size_t& workspace_bytes, const Key* keys_in, Key* keys_out,
                               const Value* values_in, Value* values_out, std::int64_t count, int begin_bit,
                               int end_bit, cudaStream_t /*stream*/) {
    constexpr std::size_t kSomething = 256;  // a caller that forgets the workspace fails
    if (workspace == nullptr) {
      workspace_bytes = kSomething;
      return cudaSuccess;
    }
    if (workspace_bytes < kSomething || count < 0 || begin_bit < 0 || end_bit > static_cast<int>(8 * sizeof(Key))) {
      return cudaErrorInvalidValue;
    }
    const Key all = ~Key{0};
    const int bits = end_bit - begin_bit;
    const Key mask = bits >= static_cast<int>(8 * sizeof(Key)) ? all : ((Key{1} << bits) - 1) << begin_bit;
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return (keys_in[a] & mask) < (keys_in[b] & mask); });
    for (std::int64_t i = 0; i < count; ++i) {
      keys_out[i] = keys_in[order[static_cast<std::size_t>(i)]];
      values_out[i] = values_in[order[static_cast<std::size_t>(i)]];
    }
    return cudaSuccess;
  }
};

}  // namespace cub
