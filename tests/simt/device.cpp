#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "tests/simt/runtime.h"
#include "tests/simt/shared_arena.h"

// The one device: numbers of an H100, under a name that nobody takes for one.

namespace {

using roap::simt::returned;

constexpr int kVersion = 13000;

cudaDeviceProp properties_of_device() {
  cudaDeviceProp p{};
  std::strncpy(p.name, "SIMT emulator (shaped like an H100)", sizeof p.name - 1);
  std::size_t free_bytes = 0;
  static_cast<void>(cudaMemGetInfo(&free_bytes, &p.totalGlobalMem));
  p.sharedMemPerBlock = roap::simt::kMaxStaticSharedBytes;
  p.sharedMemPerBlockOptin = roap::simt::kMaxSharedBytes;
  p.sharedMemPerMultiprocessor = 228 * 1024;
  p.reservedSharedMemPerBlock = 1024;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiProcessor = 2048;
  p.maxBlocksPerMultiProcessor = 32;
  std::copy_n(std::array{1024, 1024, 64}.data(), 3, p.maxThreadsDim);
  std::copy_n(std::array{2147483647, 65535, 65535}.data(), 3, p.maxGridSize);
  p.major = 9;
  p.multiProcessorCount = 132;
  p.l2CacheSize = 50 << 20;
  p.memoryBusWidth = 5120;
  p.clusterLaunch = 1;
  p.concurrentKernels = 1;
  p.asyncEngineCount = 3;
  p.ECCEnabled = 1;
  return p;
}

int attribute_of_device(cudaDeviceAttr attribute, bool& known) {
  const cudaDeviceProp p = properties_of_device();
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return p.maxThreadsPerBlock;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(p.sharedMemPerBlock);
    case cudaDevAttrWarpSize:
      return p.warpSize;
    case cudaDevAttrMaxRegistersPerBlock:
      return p.regsPerBlock;
    case cudaDevAttrClockRate:
      return 1980000;  // kHz
    case cudaDevAttrMemoryClockRate:
      return 2619000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return 5120;
    case cudaDevAttrMultiProcessorCount:
      return p.multiProcessorCount;
    case cudaDevAttrL2CacheSize:
      return p.l2CacheSize;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return p.maxThreadsPerMultiProcessor;
    case cudaDevAttrComputeCapabilityMajor:
      return p.major;
    case cudaDevAttrComputeCapabilityMinor:
      return p.minor;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return static_cast<int>(p.sharedMemPerMultiprocessor);
    case cudaDevAttrCooperativeLaunch:
      return p.cooperativeLaunch;  // 0: blocks run one after the other
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return static_cast<int>(p.sharedMemPerBlockOptin);
  }
  known = false;
  return 0;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return returned(cudaSuccess);
}
cudaError_t cudaSetDevice(int device) { return returned(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return returned(cudaSuccess);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return returned(cudaErrorInvalidDevice);
  *properties = properties_of_device();
  return returned(cudaSuccess);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return returned(cudaErrorInvalidDevice);
  bool known = true;
  *value = attribute_of_device(attribute, known);
  return returned(known ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  if (device != 0) return returned(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<std::size_t>(length), "0000:00:00.0");
  return returned(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

}  // extern "C"
