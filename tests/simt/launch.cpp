#include <fmt/format.h>

#include <map>
#include <mutex>

#include "tests/simt/device_memory.h"
#include "tests/simt/runtime.h"
#include "tests/simt/scheduler.h"

// Launches: the rules of the runtime for their shapes, and the attributes of kernels.

namespace roap::simt {

namespace {

struct KernelAttributes {
  int dynamic_bytes = 48 * 1024;
  bool large_clusters = false;
};

KernelAttributes& attributes_of(const void* kernel) {
  static std::map<const void*, KernelAttributes> all;
  return all[kernel];
}

bool in_limits(const dim3& d, unsigned x, unsigned y, unsigned z) {
  return d.x >= 1 && d.x <= x && d.y >= 1 && d.y <= y && d.z >= 1 && d.z <= z;
}

unsigned cluster_of(const cudaLaunchConfig_t& config, cudaError_t& error) {
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    if (config.attrs[i].id != cudaLaunchAttributeClusterDimension) continue;
    const auto& shape = config.attrs[i].val.clusterDim;
    if (shape.y != 1 || shape.z != 1) error = cudaErrorNotSupported;  // the emulator's clusters lie along x
    return shape.x;
  }
  return 1;
}

cudaError_t check_shape(const KernelLaunch& launch) {
  const KernelAttributes& attributes = attributes_of(launch.kernel);
  if (!in_limits(launch.grid, 2147483647, 65535, 65535) || !in_limits(launch.block, 1024, 1024, 64) ||
      launch.block.x * launch.block.y * launch.block.z > kMaxThreads) {
    return cudaErrorInvalidConfiguration;
  }
  if (launch.dynamic_bytes > static_cast<std::size_t>(attributes.dynamic_bytes)) return cudaErrorInvalidValue;
  const unsigned most = attributes.large_clusters ? kMaxCluster : 8;
  if (launch.cluster < 1 || launch.cluster > most || launch.grid.x % launch.cluster != 0) {
    return cudaErrorInvalidClusterSize;
  }
  return cudaSuccess;
}

cudaError_t run(const KernelLaunch& launch) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  cudaError_t error = scheduler().run(launch);
  if (error == cudaSuccess) {
    if (const std::string damage = damaged_allocations(); !damage.empty()) {
      set_report(fmt::format("kernel {} {}", launch.name, damage));
      error = cudaErrorIllegalAddress;
    }
  }
  if (error != cudaSuccess) set_sticky_error(error);
  return error;
}

}  // namespace

cudaError_t launch_kernel(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread) {
  cudaError_t error = cudaSuccess;
  KernelLaunch launch{config.kernel_name != nullptr ? config.kernel_name : "without a name",
                      kernel,
                      config.gridDim,
                      config.blockDim,
                      config.dynamicSmemBytes,
                      cluster_of(config, error),
                      std::move(thread)};
  if (error == cudaSuccess) error = check_shape(launch);
  if (error != cudaSuccess) return returned(error);
  return issue(config.stream, [launch = std::move(launch)] { return run(launch); });
}

}  // namespace roap::simt

extern "C" {

using roap::simt::returned;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  roap::simt::KernelAttributes& attributes = roap::simt::attributes_of(kernel);
  switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize:
      if (value < 0 || value > static_cast<int>(roap::simt::kMaxSharedBytes)) return returned(cudaErrorInvalidValue);
      attributes.dynamic_bytes = value;
      return returned(cudaSuccess);
    case cudaFuncAttributePreferredSharedMemoryCarveout:
      return returned(cudaSuccess);
    case cudaFuncAttributeNonPortableClusterSizeAllowed:
      attributes.large_clusters = value != 0;
      return returned(cudaSuccess);
  }
  return returned(cudaErrorInvalidValue);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  *attributes = cudaFuncAttributes{};
  attributes->maxThreadsPerBlock = static_cast<int>(roap::simt::kMaxThreads);
  attributes->maxDynamicSharedSizeBytes = roap::simt::attributes_of(kernel).dynamic_bytes;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  return returned(cudaSuccess);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int block_size,
                                                          std::size_t dynamic_shared_bytes) {
  if (block_size < 1 || block_size > static_cast<int>(roap::simt::kMaxThreads)) return returned(cudaErrorInvalidValue);
  constexpr std::size_t kSharedOfMultiprocessor = 228 * 1024, kReserved = 1024;
  const auto by_shared = static_cast<int>(kSharedOfMultiprocessor / (dynamic_shared_bytes + kReserved));
  const int by_threads = 2048 / ((block_size + 31) / 32 * 32);
  *blocks = std::min({by_shared, by_threads, 32});
  return returned(cudaSuccess);
}

}  // extern "C"
