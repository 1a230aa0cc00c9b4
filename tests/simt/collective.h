#pragma once

#include "tests/simt/scheduler.h"

// Operations that several threads make together. Each thread leaves its operand, a struct on its stack, and waits; the
// last one to arrive does the work for all, and goes on without waiting.

namespace roap::simt {

/// All lanes of `mask` that have not ended make this call with the same operation (the same string). `complete` gets
/// the lanes that did, and their operands by Warp::operand.
void warp_collective(const char* operation, std::uint32_t mask, void* operand,
                     void (*complete)(Warp& warp, std::uint32_t lanes), const Caller& caller);

/// The same for instructions that need all 32 lanes of a warp (.sync.aligned).
void whole_warp(const char* operation, void* operand, void (*complete)(Warp& warp, std::uint32_t lanes),
                const Caller& caller);

/// The same for all threads of the four warps of a warpgroup; true for the last one to arrive, which does the work and
/// then calls release_warpgroup.
bool last_of_warpgroup(const char* operation, void* operand, const Caller& caller);
void release_warpgroup();
Warpgroup& current_warpgroup();

/// Address of `bytes` of shared memory as an instruction gets it, checked: inside one array and aligned. The memory may
/// be that of another block of the cluster.
std::byte* checked_shared(const void* address, std::size_t bytes, std::size_t alignment, const char* operation,
                          const Caller& caller);
/// Reports a misaligned or too short piece of global memory.
void check_global(const void* address, std::size_t bytes, std::size_t alignment, const char* operation,
                  const Caller& caller);

/// Counts `bytes` of a bulk copy at an mbarrier of `block`.
void complete_mbarrier_bytes(Block& block, std::uint64_t* barrier, std::uint32_t bytes);
/// Reports an address that holds no initialized mbarrier of this block, or of a live one of the cluster.
void check_mbarrier(const std::uint64_t* barrier, const char* operation, const Caller& caller);
/// Place and state of an mbarrier, for reports.
std::string describe_mbarrier(const void* barrier);

}  // namespace roap::simt
