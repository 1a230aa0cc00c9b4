#include "tests/simt/device_memory.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "tests/simt/runtime.h"
#include "tests/simt/sanitizer.h"

// cudaMalloc and cudaMallocHost: fresh memory holds 0xff bytes (NaN). Around it lie guard zones, which are checked
// after every kernel; under AddressSanitizer its own ones take their place and name the access.

namespace roap::simt {

namespace {

constexpr std::size_t kAlignment = 256;  // as cudaMalloc promises
constexpr std::size_t kGuardBytes = kSanitized ? 0 : kAlignment;
constexpr int kGuardByte = 0xa5;

struct Allocation {
  std::size_t bytes;
  MemoryKind kind;
};

std::mutex mutex;
std::size_t device_bytes_in_use = 0;

/// By address. Not destroyed before the last static object that may still free memory.
std::map<const std::byte*, Allocation>& allocations() {
  static auto& map = *new std::map<const std::byte*, Allocation>();
  return map;
}

/// The allocation that begins at or before the address, or the end.
auto allocation_before(const std::byte* address) {
  auto& map = allocations();
  const auto after = map.upper_bound(address);
  return after == map.begin() ? map.end() : std::prev(after);
}

std::size_t memory_of_machine() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}
std::size_t memory_of_device() { return std::min(std::size_t{80} << 30, memory_of_machine() / 2); }

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

cudaError_t allocate(void** pointer, std::size_t bytes, MemoryKind kind) {
  if (pointer == nullptr) return returned(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (bytes == 0) return cudaSuccess;
  const std::lock_guard lock(mutex);
  if (kind == MemoryKind::device && device_bytes_in_use + bytes > memory_of_device()) {
    return returned(cudaErrorMemoryAllocation);
  }
  void* memory = nullptr;
  // Exactly as long as asked for under AddressSanitizer, so that it sees the first byte behind.
  const std::size_t whole = kSanitized ? bytes : padded(bytes) + 2 * kGuardBytes;
  if (posix_memalign(&memory, kAlignment, whole) != 0) return returned(cudaErrorMemoryAllocation);
  std::memset(memory, kGuardByte, whole);
  auto* data = static_cast<std::byte*>(memory) + kGuardBytes;
  std::memset(data, 0xff, bytes);
  allocations()[data] = {bytes, kind};
  if (kind == MemoryKind::device) device_bytes_in_use += bytes;
  *pointer = data;
  return cudaSuccess;
}

/// Offset from the allocation's start of the first byte that was written outside of it, or 0.
std::ptrdiff_t first_damage(const std::byte* data, const Allocation& allocation) {
  if (kSanitized) return 0;
  const std::size_t behind = padded(allocation.bytes) + kGuardBytes - allocation.bytes;
  const auto is_damaged = [](std::byte b) { return b != std::byte{kGuardByte}; };
  const std::byte* end = data + allocation.bytes;
  const std::byte* found = std::find_if(end, end + behind, is_damaged);
  if (found != end + behind) return found - data;
  found = std::find_if(data - kGuardBytes, data, is_damaged);
  return found != data ? found - data : 0;
}

cudaError_t release(void* pointer, MemoryKind kind) {
  if (pointer == nullptr) return returned(cudaSuccess);
  const std::lock_guard lock(mutex);
  const auto found = allocations().find(static_cast<std::byte*>(pointer));
  if (found == allocations().end() || found->second.kind != kind) return returned(cudaErrorInvalidValue);
  if (kind == MemoryKind::device) device_bytes_in_use -= found->second.bytes;
  std::free(static_cast<std::byte*>(pointer) - kGuardBytes);
  allocations().erase(found);
  return returned(cudaSuccess);
}

}  // namespace

MemoryKind memory_kind(const void* address) {
  const auto* p = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex);
  const auto found = allocation_before(p);
  return found != allocations().end() && p < found->first + found->second.bytes ? found->second.kind
                                                                                : MemoryKind::pageable;
}

bool inside_allocation(const void* address, std::size_t bytes) {
  const auto* p = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex);
  const auto found = allocation_before(p);
  if (found == allocations().end() || p >= found->first + found->second.bytes) return true;  // pageable
  return p + bytes <= found->first + found->second.bytes;
}

std::string describe_memory(const void* address) {
  const auto* p = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex);
  const auto found = allocation_before(p);
  if (found == allocations().end()) return "lies before all allocations";
  const auto offset = static_cast<std::size_t>(p - found->first);
  const std::size_t bytes = found->second.bytes;
  if (offset < bytes) return fmt::format("lies at byte {} of an allocation of {}", offset, bytes);
  return fmt::format("lies {} bytes behind the nearest allocation (of {} bytes)", offset - bytes, bytes);
}

std::string damaged_allocations() {
  const std::lock_guard lock(mutex);
  for (const auto& [data, allocation] : allocations()) {
    const std::ptrdiff_t damage = first_damage(data, allocation);
    if (damage != 0) return fmt::format("wrote at byte {} of an allocation of {} bytes", damage, allocation.bytes);
  }
  return {};
}

}  // namespace roap::simt

extern "C" {

using roap::simt::MemoryKind;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  if (roap::simt::capturing()) {
    roap::simt::invalidate_captures();
    return roap::simt::returned(cudaErrorStreamCaptureUnsupported);
  }
  return roap::simt::allocate(pointer, bytes, MemoryKind::device);
}
cudaError_t cudaFree(void* pointer) { return roap::simt::release(pointer, MemoryKind::device); }
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return roap::simt::allocate(pointer, bytes, MemoryKind::pinned);
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  return roap::simt::allocate(pointer, bytes, MemoryKind::pinned);
}
cudaError_t cudaFreeHost(void* pointer) { return roap::simt::release(pointer, MemoryKind::pinned); }

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  const std::lock_guard lock(roap::simt::mutex);
  *total_bytes = roap::simt::memory_of_device();
  *free_bytes = *total_bytes - roap::simt::device_bytes_in_use;
  return roap::simt::returned(cudaSuccess);
}

}  // extern "C"
