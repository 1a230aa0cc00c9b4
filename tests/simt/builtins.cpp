#include <fmt/format.h>

#include "tests/simt/collective.h"
#include "tests/simt/device_memory.h"

// Built-in functions without a file of their own, and access to shared memory.

namespace roap::simt {

namespace {

bool is_aligned(const void* address, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

}  // namespace

void* shared_memory(SharedArray& array) {
  Scheduler& s = scheduler();
  if (array.launch != s.launch_number()) {
    if (std::string problem = s.layout().add(array); !problem.empty()) {
      s.fail(cudaErrorLaunchOutOfResources, std::move(problem), array.where);
    }
    array.launch = s.launch_number();
    for (Block* block : s.cluster()) block->arena.append(s.layout());
  }
  return s.current().warp->block->arena.data() + array.offset;
}

void* dynamic_shared_memory(std::size_t byte_offset, std::size_t alignment, Caller caller) {
  Scheduler& s = scheduler();
  const std::size_t bytes = s.launch().dynamic_bytes;
  if (byte_offset >= bytes || byte_offset % alignment != 0) {
    s.fail(
        cudaErrorIllegalAddress,
        fmt::format("dynamic_shared at offset {} of {} bytes, for a type aligned to {}", byte_offset, bytes, alignment),
        caller);
  }
  return s.current().warp->block->arena.data() + kDynamicOffset + byte_offset;
}

std::byte* checked_shared(const void* address, std::size_t bytes, std::size_t alignment, const char* operation,
                          const Caller& caller) {
  Scheduler& s = scheduler();
  const Block* block = s.block_of_shared(address);
  if (block == nullptr) {
    s.fail(cudaErrorIllegalAddress,
           fmt::format("{} with address {}, which is not in shared memory", operation, address), caller);
  }
  const auto offset = static_cast<const std::byte*>(address) - block->arena.data();
  if (offset < 0 || s.layout().find(static_cast<std::size_t>(offset), bytes) == nullptr) {
    std::string text = fmt::format("{} of {} bytes: {}", operation, bytes, s.describe_address(address));
    s.fail(cudaErrorIllegalAddress, std::move(text), caller);
  }
  if (!is_aligned(address, alignment)) {
    std::string text = fmt::format("{} at {}: must be aligned to {} bytes", operation,
                                   s.layout().describe(static_cast<std::size_t>(offset)), alignment);
    s.fail(cudaErrorMisalignedAddress, std::move(text), caller);
  }
  return const_cast<std::byte*>(static_cast<const std::byte*>(address));
}

void check_global(const void* address, std::size_t bytes, std::size_t alignment, const char* operation,
                  const Caller& caller) {
  if (!is_aligned(address, alignment)) {
    scheduler().fail(
        cudaErrorMisalignedAddress,
        fmt::format("{} from global address {}: must be aligned to {} bytes", operation, address, alignment), caller);
  }
  if (bytes == 0) return;
  if (scheduler().block_of_shared(address) != nullptr || !inside_allocation(address, bytes)) {
    std::string text =
        fmt::format("{} of {} bytes from address {}, which {}", operation, bytes, address, describe_memory(address));
    scheduler().fail(cudaErrorIllegalAddress, std::move(text), caller);
  }
}

void atomic_point() {
  scheduler().count_spin();
  if (scheduler().random().one_in(16)) scheduler().yield();
}

}  // namespace roap::simt

using roap::simt::scheduler;

std::size_t __cvta_generic_to_shared(const void* p, std::source_location caller) {
  const roap::simt::Block* block = scheduler().block_of_shared(p);
  if (block == nullptr) {
    scheduler().fail(cudaErrorIllegalAddress,
                     fmt::format("__cvta_generic_to_shared of address {}, which is not in shared memory", p), caller);
  }
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(p) - block->arena.data());
  const roap::simt::Block* own = scheduler().current().warp->block;
  return block == own ? offset : offset | (std::size_t{block->rank} + 1) << 24;
}

void __nanosleep(unsigned, std::source_location caller) { scheduler().poll({"__nanosleep", caller}); }

void __trap(std::source_location caller) { scheduler().fail(cudaErrorLaunchFailure, "__trap", caller); }

long long clock64() { return static_cast<long long>(scheduler().switches()); }
