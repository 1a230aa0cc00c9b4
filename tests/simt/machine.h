#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "tests/simt/fiber.h"
#include "tests/simt/shared_arena.h"
#include "tests/simt/warpgroup.h"

// The state of the blocks that run: threads, warps, barriers. The scheduler and the operations work on it.

namespace roap::simt {

using Caller = std::source_location;

inline constexpr unsigned kLanes = 32;
inline constexpr std::uint32_t kAllLanes = 0xffffffffu;
inline constexpr unsigned kMaxThreads = 1024;
inline constexpr unsigned kMaxWarps = kMaxThreads / kLanes;
inline constexpr unsigned kMaxCluster = 16;
inline constexpr unsigned kNamedBarriers = 16;

struct Warp;
struct Block;

/// A launch, or a node of a graph.
struct KernelLaunch {
  std::string name;
  const void* kernel = nullptr;
  dim3 grid, block;
  std::size_t dynamic_bytes = 0;
  unsigned cluster = 1;
  std::function<void()> thread;  ///< what each thread runs
};

/// What a thread waits for, as reports show it.
struct Waiting {
  const char* operation = "";
  Caller caller;
  const char* detail = nullptr;  ///< name of the number that follows, or null
  std::uint64_t value = 0;
  const void* mbarrier = nullptr;
};

/// A copy of cp.async that has not landed.
struct AsyncCopy {
  void* shared;
  const void* global;
  unsigned bytes, valid_bytes;
  unsigned group;  ///< number of the thread's group it belongs to
};

/// Where a thread is between cluster_arrive and cluster_wait.
enum class AtCluster { away, arrived, open };

struct Thread {
  Fiber* fiber = nullptr;  ///< null before the thread begins and after it has ended
  Warp* warp = nullptr;
  uint3 index{};
  unsigned lane = 0;
  Waiting waiting;
  void* operand = nullptr;  ///< of the collective operation it waits in
  std::vector<AsyncCopy> copies;
  unsigned open_group = 0;  ///< number of cp.async groups closed so far
  AtCluster at_cluster = AtCluster::away;
};

/// A collective operation for which not all lanes have arrived.
struct Collective {
  const char* operation;
  std::uint32_t mask, arrived;
  void (*complete)(Warp& warp, std::uint32_t lanes);
  bool needs_all;  ///< all 32 lanes, also those that have ended
};

struct Warp {
  Block* block = nullptr;
  unsigned index = 0;
  Thread* threads = nullptr;  ///< its lanes; fewer than 32 in the last warp of a block
  std::uint32_t live = 0;     ///< lanes that have not ended
  std::uint32_t ready = 0;    ///< lanes that could run
  unsigned ready_slot = 0;    ///< place in the scheduler's list, while any lane is ready
  std::array<Collective, kLanes> collectives;
  unsigned collective_count = 0;

  template <class Operand>
  Operand& operand(unsigned lane) const {
    return *static_cast<Operand*>(threads[lane].operand);
  }
};

struct BlockBarrier {
  unsigned expected = 0;  ///< threads; 0 while nobody has arrived
  unsigned arrived = 0;
  int true_predicates = 0;
  Caller first;
  std::array<std::uint32_t, kMaxWarps> waiting{};  ///< lanes, by warp
};

struct Block {
  unsigned rank = 0;  ///< in its cluster
  uint3 index{};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  unsigned live = 0;
  std::array<BlockBarrier, kNamedBarriers> barriers;
  std::vector<Thread*> mbarrier_waiters;
  std::array<Warpgroup, kMaxWarps / 4> warpgroups;
  AsyncView async_view;
  SharedArena arena;
};

/// Calls use(lane) for each lane of the mask, in order.
template <class Use>
void for_lanes(std::uint32_t mask, Use use) {
  for (; mask != 0; mask &= mask - 1) use(static_cast<unsigned>(__builtin_ctz(mask)));
}

}  // namespace roap::simt
