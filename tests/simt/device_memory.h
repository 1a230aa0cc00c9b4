#pragma once

#include <cstddef>
#include <string>

namespace roap::simt {

enum class MemoryKind { pageable, pinned, device };

/// What kind of memory an address lies in; pageable is all that cudaMalloc and cudaMallocHost did not give.
MemoryKind memory_kind(const void* address);
/// Whether these bytes lie in one allocation of the kind `address` has; true for pageable memory, of which nothing is
/// known.
bool inside_allocation(const void* address, std::size_t bytes);
/// "is 4 bytes behind an allocation of 64 bytes" or the like.
std::string describe_memory(const void* address);
/// What was written outside of the allocations, or an empty string.
std::string damaged_allocations();

}  // namespace roap::simt
