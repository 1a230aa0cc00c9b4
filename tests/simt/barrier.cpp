#include "kernels/common/ptx/barrier.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "kernels/common/ptx/cluster.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "tests/simt/collective.h"

// Barriers of a block and of a cluster, and operations of a warpgroup.

namespace roap::simt {

namespace {

bool same_place(const Caller& a, const Caller& b) {
  return a.line() == b.line() && (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// Lets all threads go on that wait at a barrier, and gives them its number of true predicates.
void open_barrier(Block& block, BlockBarrier& barrier) {
  const BlockBarrier done = barrier;
  barrier = {};
  ++scheduler().counts().barriers;
  scheduler().made_progress();
  for (Warp& warp : block.warps) {
    const std::uint32_t lanes = done.waiting[warp.index];
    for_lanes(lanes, [&](unsigned lane) { warp.operand<int>(lane) = done.true_predicates; });
    scheduler().wake(warp, lanes);
  }
}

/// Arrival of the current thread. Returns, after all have arrived when it `waits`, how many had a true predicate.
int arrive(const char* operation, unsigned id, unsigned threads, bool predicate, bool waits, const Caller& caller) {
  Thread& self = scheduler().current();
  Block& block = *self.warp->block;
  BlockBarrier& barrier = block.barriers[id];
  if (barrier.expected == 0) {
    barrier.expected = threads;
    barrier.first = caller;
  }
  if (barrier.expected != threads) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} of barrier {} for {} threads; others said {} at {}:{}", operation, id, threads,
                                 barrier.expected, barrier.first.file_name(), barrier.first.line()),
                     caller);
  }
  if (id == 0 && !same_place(barrier.first, caller)) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("divergent barrier: this thread is in {} here, others at {}:{}", operation,
                                 barrier.first.file_name(), barrier.first.line()),
                     caller);
  }
  if (predicate) ++barrier.true_predicates;
  if (++barrier.arrived == barrier.expected) {
    const int result = barrier.true_predicates;
    open_barrier(block, barrier);
    return result;
  }
  if (!waits) return 0;
  barrier.waiting[self.warp->index] |= 1u << self.lane;
  int result = 0;
  self.operand = &result;
  scheduler().wait({operation, caller, id == 0 ? nullptr : "barrier", id});
  return result;
}

unsigned threads_of_block() { return static_cast<unsigned>(scheduler().current().warp->block->threads.size()); }

void check_named(const char* operation, std::uint32_t id, std::uint32_t threads, const Caller& caller) {
  if (id >= kNamedBarriers || threads == 0 || threads % kLanes != 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} of barrier {} for {} threads: the id must be below 16, the number of threads a "
                                 "multiple of 32",
                                 operation, id, threads),
                     caller);
  }
}

/// The barrier of the cluster. Threads that have ended count as arrived.
struct ClusterBarrier {
  unsigned arrived = 0;  ///< of the live threads
  std::vector<Thread*> waiting;
} cluster_barrier;

void open_cluster_barrier_if_complete() {
  if (cluster_barrier.arrived < scheduler().live_threads()) return;
  ++scheduler().counts().barriers;
  scheduler().made_progress();
  cluster_barrier.arrived = 0;
  for (Block* block : scheduler().cluster()) {
    for (Thread& thread : block->threads) {
      if (thread.at_cluster == AtCluster::arrived) thread.at_cluster = AtCluster::open;
    }
  }
  for (Thread* thread : cluster_barrier.waiting) scheduler().wake(*thread->warp, 1u << thread->lane);
  cluster_barrier.waiting.clear();
}

}  // namespace

void reset_cluster_barrier() {
  cluster_barrier.arrived = 0;
  cluster_barrier.waiting.clear();
}

void thread_left_cluster(Thread& thread) {
  if (thread.at_cluster == AtCluster::arrived) --cluster_barrier.arrived;
  if (cluster_barrier.arrived > 0) open_cluster_barrier_if_complete();
}

Warpgroup& current_warpgroup() {
  const Warp& warp = *scheduler().current().warp;
  return warp.block->warpgroups[warp.index / 4];
}

bool last_of_warpgroup(const char* operation, void* operand, const Caller& caller) {
  Thread& self = scheduler().current();
  Warpgroup& group = current_warpgroup();
  const auto first_warp = self.warp->index / 4 * 4;
  const std::vector<Warp>& warps = self.warp->block->warps;
  for (unsigned w = first_warp; w < first_warp + 4; ++w) {
    if (w < warps.size() && warps[w].live == kAllLanes) continue;
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} needs all 128 threads of the warpgroup; warp {} has {:#x}", operation, w,
                                 w < warps.size() ? warps[w].live : 0),
                     caller);
  }
  if (group.arrived == 0) group.operation = operation;
  if (group.operation != operation) {
    scheduler().fail(
        cudaErrorIllegalInstruction,
        fmt::format("threads of one warpgroup make different calls: {} here, {} elsewhere", operation, group.operation),
        caller);
  }
  self.operand = operand;
  if (++group.arrived == kWarpgroupThreads) return true;
  group.waiting[self.warp->index % 4] |= 1u << self.lane;
  scheduler().wait({operation, caller});
  return false;
}

void release_warpgroup() {
  Warpgroup& group = current_warpgroup();
  const Warp& own = *scheduler().current().warp;
  scheduler().made_progress();
  group.arrived = 0;
  for (unsigned w = 0; w < 4; ++w) {
    scheduler().wake(own.block->warps[own.index / 4 * 4 + w], std::exchange(group.waiting[w], 0));
  }
}

}  // namespace roap::simt

void __syncthreads(std::source_location caller) {
  roap::simt::arrive("__syncthreads", 0, roap::simt::threads_of_block(), false, true, caller);
}
int __syncthreads_count(int predicate, std::source_location caller) {
  return roap::simt::arrive("__syncthreads_count", 0, roap::simt::threads_of_block(), predicate != 0, true, caller);
}
int __syncthreads_and(int predicate, std::source_location caller) {
  const unsigned threads = roap::simt::threads_of_block();
  const int count = roap::simt::arrive("__syncthreads_and", 0, threads, predicate != 0, true, caller);
  return count == static_cast<int>(threads) ? 1 : 0;
}
int __syncthreads_or(int predicate, std::source_location caller) {
  return roap::simt::arrive("__syncthreads_or", 0, roap::simt::threads_of_block(), predicate != 0, true, caller) > 0;
}

namespace roap::ptx {

using simt::scheduler;

void named_barrier_sync(std::uint32_t id, std::uint32_t threads, simt::Caller caller) {
  simt::check_named("named_barrier_sync", id, threads, caller);
  simt::arrive("named_barrier_sync", id, threads, false, true, caller);
}
void named_barrier_arrive(std::uint32_t id, std::uint32_t threads, simt::Caller caller) {
  simt::check_named("named_barrier_arrive", id, threads, caller);
  simt::arrive("named_barrier_arrive", id, threads, false, false, caller);
}

std::uint32_t cluster_rank() { return scheduler().current().warp->block->rank; }
std::uint32_t cluster_size() { return static_cast<std::uint32_t>(scheduler().cluster().size()); }

void cluster_arrive(simt::Caller caller) {
  simt::Thread& self = scheduler().current();
  if (self.at_cluster != simt::AtCluster::away) {
    scheduler().fail(cudaErrorIllegalInstruction, "cluster_arrive twice without cluster_wait in between", caller);
  }
  self.at_cluster = simt::AtCluster::arrived;
  ++simt::cluster_barrier.arrived;
  simt::open_cluster_barrier_if_complete();
}

void cluster_wait(simt::Caller caller) {
  simt::Thread& self = scheduler().current();
  if (self.at_cluster == simt::AtCluster::away) {
    scheduler().fail(cudaErrorIllegalInstruction, "cluster_wait without cluster_arrive", caller);
  }
  if (self.at_cluster == simt::AtCluster::arrived) {
    simt::cluster_barrier.waiting.push_back(&self);
    scheduler().wait({"cluster_wait", caller});
  }
  self.at_cluster = simt::AtCluster::away;
}

void* map_shared_address(void* shared, std::uint32_t rank, simt::Caller caller) {
  const simt::Block& own = *scheduler().current().warp->block;
  if (rank >= scheduler().cluster().size()) {
    scheduler().fail(cudaErrorIllegalAddress,
                     fmt::format("map_shared to rank {} of a cluster of {}", rank, scheduler().cluster().size()),
                     caller);
  }
  const simt::Block& other = *scheduler().cluster()[rank];
  if (other.live == 0) {
    scheduler().fail(cudaErrorIllegalAddress,
                     fmt::format("map_shared to rank {}, a block that has ended: keep it alive with a barrier of the "
                                 "cluster",
                                 rank),
                     caller);
  }
  std::byte* place = simt::checked_shared(shared, 1, 1, "map_shared", caller);
  return other.arena.data() + (place - own.arena.data());
}

void setmaxnreg(int registers, simt::Caller caller) {
  if (registers < 24 || registers > 256 || registers % 8 != 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("setmaxnreg to {}: must be a multiple of 8 from 24 to 256", registers), caller);
  }
  if (simt::last_of_warpgroup("setmaxnreg", nullptr, caller)) simt::release_warpgroup();
}

}  // namespace roap::ptx
