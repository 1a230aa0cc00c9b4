#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "kernels/common/check_cuda.h"

namespace roap::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  ///< dynamic shared memory of a block
  int cluster = 1;               ///< blocks of a cluster, neighbours along x; grid.x is a multiple of it
};

/// Blocks that `items` need when each takes `per_block` of them.
inline unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

/// Dynamic shared memory that a kernel gets without asking for more.
inline constexpr std::size_t kSharedBytesUnasked = 48 * 1024;

/// Raises the kernel's limit of dynamic shared memory on the current device to at least `bytes`.
inline void allow_shared_bytes(const char* name, const void* kernel, std::size_t bytes) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, std::size_t> allowed;
  int device = 0;
  check_cuda(cudaGetDevice(&device), "find the current device");
  const std::lock_guard lock(mutex);
  std::size_t& limit = allowed[{device, kernel}];
  if (bytes <= limit) return;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
             "give kernel " + std::string(name) + " " + std::to_string(bytes) + " bytes of shared memory");
  limit = bytes;
}

/// Starts `kernel` on `stream`; `name` is how errors and the emulator call it. Throws DeviceError when the launch is
/// refused; a failure while the kernel runs shows at the next synchronization.
template <class... Parameters, class... Arguments>
void launch(const char* name, const LaunchShape& shape, cudaStream_t stream, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  if (shape.shared_bytes > kSharedBytesUnasked) {
    allow_shared_bytes(name, reinterpret_cast<const void*>(kernel), shape.shared_bytes);
  }
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = static_cast<unsigned>(shape.cluster);
  cluster.val.clusterDim.y = 1;
  cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = shape.cluster > 1 ? 1 : 0;
#ifdef ROAP_SIMT
  config.kernel_name = name;
#endif
  const cudaError_t status = cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
  if (status != cudaSuccess) check_cuda(status, "launch kernel " + std::string(name));
}

}  // namespace roap::cuda
