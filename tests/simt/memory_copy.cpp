#include <cuda_runtime.h>

#include <cstring>

#include "tests/simt/device_memory.h"
#include "tests/simt/runtime.h"

// Copies and fills. Each is checked against the allocations that its addresses lie in.

namespace roap::simt {

namespace {

bool fits(MemoryKind kind, bool should_be_device) { return (kind == MemoryKind::device) == should_be_device; }

cudaError_t check_direction(const void* target, const void* source, cudaMemcpyKind kind) {
  const MemoryKind to = memory_kind(target), from = memory_kind(source);
  switch (kind) {
    case cudaMemcpyHostToHost:
      return fits(to, false) && fits(from, false) ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyHostToDevice:
      return fits(to, true) && fits(from, false) ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToHost:
      return fits(to, false) && fits(from, true) ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDeviceToDevice:
      return fits(to, true) && fits(from, true) ? cudaSuccess : cudaErrorInvalidValue;
    case cudaMemcpyDefault:
      return cudaSuccess;
  }
  return cudaErrorInvalidMemcpyDirection;
}

/// A matrix copy of `height` rows of `width` bytes.
cudaError_t copy(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                 std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  if (width == 0 || height == 0) return returned(cudaSuccess);
  if (target == nullptr || source == nullptr || target_pitch < width || source_pitch < width) {
    return returned(cudaErrorInvalidValue);
  }
  const bool inside = inside_allocation(target, (height - 1) * target_pitch + width) &&
                      inside_allocation(source, (height - 1) * source_pitch + width);
  if (!inside) return returned(cudaErrorInvalidValue);
  if (const cudaError_t error = check_direction(target, source, kind); error != cudaSuccess) return returned(error);
  if (capturing(stream) &&
      (memory_kind(target) == MemoryKind::pageable || memory_kind(source) == MemoryKind::pageable)) {
    invalidate_captures();
    return returned(cudaErrorStreamCaptureUnsupported);
  }
  return issue(stream, [=] {
    for (std::size_t row = 0; row < height; ++row) {
      std::memcpy(static_cast<std::byte*>(target) + row * target_pitch,
                  static_cast<const std::byte*>(source) + row * source_pitch, width);
    }
    return cudaSuccess;
  });
}

cudaError_t fill(void* target, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return returned(cudaSuccess);
  if (memory_kind(target) != MemoryKind::device || !inside_allocation(target, bytes)) {
    return returned(cudaErrorInvalidValue);
  }
  return issue(stream, [=] {
    std::memset(target, value, bytes);
    return cudaSuccess;
  });
}

}  // namespace
}  // namespace roap::simt

extern "C" {

cudaError_t cudaMemcpy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
  return roap::simt::copy(target, bytes, source, bytes, bytes, 1, kind, nullptr);
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return roap::simt::copy(target, bytes, source, bytes, bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return roap::simt::copy(target, target_pitch, source, source_pitch, width, height, kind, stream);
}
cudaError_t cudaMemset(void* target, int value, std::size_t bytes) {
  return roap::simt::fill(target, value, bytes, nullptr);
}
cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t stream) {
  return roap::simt::fill(target, value, bytes, stream);
}

}  // extern "C"
