#include "tests/simt/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <utility>

#include "tests/simt/fault.h"

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace roap::simt {

namespace {

// So many rounds in which threads only looked whether something has changed, or so many atomic operations without any
// other event, mean that they will look for ever.
constexpr unsigned kIdleRounds = 1000;
constexpr unsigned kSpins = 1u << 24;

std::uint64_t seed_of_environment() {
  const char* text = std::getenv("ROAP_SIMT_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

/// A permutation of 0 .. count - 1 that needs no memory: steps of a stride that has no factor in common with count.
class Permutation {
 public:
  Permutation(std::uint64_t count, Random& random) : count_(count), first_(random.next() % count) {
    do {
      stride_ = random.next() % std::min<std::uint64_t>(count, 1u << 16) + 1;  // so that nothing overflows below
    } while (std::gcd(stride_, count) != 1);
  }
  std::uint64_t operator()(std::uint64_t i) const { return (i * stride_ + first_) % count_; }

 private:
  std::uint64_t count_, first_, stride_ = 1;
};

}  // namespace

Scheduler detail::scheduler;

void Scheduler::set_seed(std::uint64_t seed) {
  seed_ = seed;
  launches_of_seed_ = 0;
}

// The way to another thread, inline in what suspends a thread.

inline void Scheduler::enter(Thread* thread) {
  current_ = thread;
  threadIdx = thread->index;
  blockIdx = thread->warp->block->index;
}

inline void Scheduler::remove_ready(Warp& warp, std::uint32_t lane_bit) {
  if (warp.ready == 0) return;
  warp.ready &= ~lane_bit;
  if (warp.ready != 0) return;
  ready_warps_[warp.ready_slot] = ready_warps_.back();
  ready_warps_[warp.ready_slot]->ready_slot = warp.ready_slot;
  ready_warps_.pop_back();
}

inline Thread* Scheduler::next() {
  if (!deferred_.empty() && live_threads_ > 0 && landing_ != 0 && random_.one_in(landing_)) run_deferred();
  while (ready_warps_.empty()) {
    if (live_threads_ == 0) return nullptr;
    if (!deferred_.empty()) {
      run_deferred();
    } else if (!wake_idle_pollers()) {
      fail(cudaErrorLaunchTimeout, describe_deadlock(), Caller{});
    }
  }
  if (current_warp_ == nullptr || current_warp_->ready == 0 || random_.one_in(turn_)) {
    current_warp_ = ready_warps_[random_.below(static_cast<std::uint32_t>(ready_warps_.size()))];
  }
  // The first ready lane from a random one on: not quite uniform, but quick.
  const int shift = static_cast<int>(random_.next() >> 27);
  const int lane = (std::countr_zero(std::rotr(current_warp_->ready, shift)) + shift) & 31;
  return &current_warp_->threads[lane];
}

inline void Scheduler::switch_to(Thread* thread) {
  if (thread == current_) return;
  Fiber& from = *current_->fiber;
  if (thread->fiber == nullptr) thread->fiber = fibers_.take(fiber_body);
  enter(thread);
  ++switches_;
  switch_fiber(from, *thread->fiber);
}

cudaError_t Scheduler::run(const KernelLaunch& launch) {
  if (seed_ == 0) set_seed(seed_of_environment());
  if (host_thread_ != std::this_thread::get_id()) {  // fibers do not move between threads of the host
    fibers_.clear();
    host_thread_ = std::this_thread::get_id();
  }
  host_ = Fiber{};
  launch_ = &launch;
  counts_ = &start_counting(launch);
  ++launch_number_;
  random_ = Random(seed_ * 1000003 + launches_of_seed_++);
  layout_ = SharedLayout(launch.dynamic_bytes);
  error_ = cudaSuccess;
  gridDim = launch.grid;
  blockDim = launch.block;
  while (blocks_.size() < launch.cluster) blocks_.push_back(std::make_unique<Block>());
  cluster_.clear();
  for (unsigned rank = 0; rank < launch.cluster; ++rank) cluster_.push_back(blocks_[rank].get());

  const std::uint64_t clusters = std::uint64_t{launch.grid.x} / launch.cluster * launch.grid.y * launch.grid.z;
  const Permutation order(clusters, random_);
  const FaultHandler faults;
  for (std::uint64_t i = 0; i < clusters && error_ == cudaSuccess; ++i) {
    start_cluster(order(i));
    run_cluster();
    if (error_ == cudaSuccess) check_after_cluster();
  }
  counts_->shared_bytes = std::max(counts_->shared_bytes, layout_.bytes());
  if (error_ != cudaSuccess) fibers_.clear();  // threads that never ended
  return error_;
}

void Scheduler::start_cluster(std::uint64_t number) {
  const dim3& grid = launch_->grid;
  const std::uint64_t row = grid.x / launch_->cluster;
  ready_warps_.clear();
  pollers_.clear();
  deferred_.clear();
  live_threads_ = 0;
  current_warp_ = nullptr;
  made_progress();
  for (unsigned rank = 0; rank < launch_->cluster; ++rank) {
    Block& block = *cluster_[rank];
    block.rank = rank;
    block.index = {static_cast<unsigned>(number % row) * launch_->cluster + rank,
                   static_cast<unsigned>(number / row % grid.y), static_cast<unsigned>(number / row / grid.y)};
    start_block(block);
  }
  reset_cluster_barrier();
  // Between warps that take turns and warps that run as far ahead as they can; and between copies that land soon and
  // copies that land as late as they may.
  turn_ = 1u << (2 + 4 * random_.below(3));
  const unsigned landings[] = {8, 1024, 0};
  landing_ = landings[random_.below(3)];
}

void Scheduler::start_block(Block& block) {
  const dim3& shape = launch_->block;
  const unsigned count = shape.x * shape.y * shape.z;
  block.live = count;
  live_threads_ += count;
  if (block.threads.size() != count) {
    block.threads = std::vector<Thread>(count);
    block.warps = std::vector<Warp>((count + kLanes - 1) / kLanes);
  }
  block.barriers.fill({});
  block.mbarrier_waiters.clear();
  for (Warpgroup& warpgroup : block.warpgroups) warpgroup = Warpgroup{};
  block.async_view.clear();
  block.arena.refresh(layout_);
  for (unsigned w = 0; w < block.warps.size(); ++w) {
    Warp& warp = block.warps[w];
    const unsigned lanes = std::min(kLanes, count - w * kLanes);
    warp.block = &block;
    warp.index = w;
    warp.threads = &block.threads[std::size_t{w} * kLanes];
    warp.live = warp.ready = lanes == kLanes ? kAllLanes : (1u << lanes) - 1;
    warp.collective_count = 0;
    warp.ready_slot = static_cast<unsigned>(ready_warps_.size());
    ready_warps_.push_back(&warp);
  }
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = block.threads[i];
    thread.fiber = nullptr;
    thread.warp = &block.warps[i / kLanes];
    thread.index = {i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y};
    thread.lane = i % kLanes;
    thread.copies.clear();
    thread.open_group = 0;
    thread.at_cluster = AtCluster::away;
  }
}

void Scheduler::run_cluster() {
  Thread* first = next();
  first->fiber = fibers_.take(fiber_body);
  enter(first);
  ++switches_;
  switch_fiber(host_, *first->fiber);
  current_ = nullptr;
}

void Scheduler::check_after_cluster() {
  for (const Block* block : cluster_) {
    if (const auto damage = block->arena.damage(layout_)) {
      keep_report(cudaErrorIllegalAddress, *damage, *block);
      return;
    }
  }
  for (const Block* block : cluster_) {
    for (const Warpgroup& group : block->warpgroups) {
      if (group.open.empty() && group.groups.empty()) continue;
      keep_report(cudaErrorLaunchFailure, "a warpgroup ended before all of its wgmma were committed and waited for",
                  *block);
      return;
    }
  }
  if (!deferred_.empty()) {
    keep_report(cudaErrorLaunchFailure,
                fmt::format("the block ended before {} bulk copies into its shared memory had landed: wait for them on "
                            "their mbarrier",
                            deferred_.size()),
                *cluster_.front());
  }
}

/// What a fiber does: one thread after the other.
void Scheduler::fiber_body() {
  Scheduler& self = scheduler();
  for (;;) {
    self.run_thread();
    self.finish_thread();
    Thread* next = self.next();
    Fiber* fiber = std::exchange(self.current_->fiber, nullptr);
    if (next != nullptr && next->fiber == nullptr) {
      next->fiber = fiber;
      self.enter(next);
      continue;
    }
    self.fibers_.give_back(fiber);
    if (next != nullptr) self.enter(next);
    ++self.switches_;
    switch_fiber(*fiber, next != nullptr ? *next->fiber : self.host_);
  }
}

void Scheduler::run_thread() {
  std::string thrown;  // empty while the kernel runs, because fail() may leave this stack for good
  try {
    launch_->thread();
    return;
  } catch (const std::exception& exception) {
    thrown = std::string("the kernel let an exception escape: ") + exception.what();
  } catch (...) {
    thrown = "the kernel let an exception of unknown type escape";
  }
  fail(cudaErrorLaunchFailure, std::move(thrown), Caller{});  // not from inside a handler
}

void Scheduler::finish_thread() {
  Thread& thread = *current_;
  Warp& warp = *thread.warp;
  made_progress();
  warp.live &= ~(1u << thread.lane);
  remove_ready(warp, 1u << thread.lane);
  --warp.block->live;
  --live_threads_;
  lane_ended(warp);
  thread_left_cluster(thread);
}

void Scheduler::run_deferred() {
  made_progress();
  const std::size_t chosen = random_.below(static_cast<std::uint32_t>(deferred_.size()));
  std::swap(deferred_[chosen], deferred_.back());
  deferred_now_ = std::move(deferred_.back());
  deferred_.pop_back();
  deferred_now_();
}

void Scheduler::suspend() {
  remove_ready(*current_->warp, 1u << current_->lane);
  switch_to(next());
}

void Scheduler::poll(const Waiting& waiting) {
  pollers_.push_back(current_);
  wait(waiting);
}

void Scheduler::yield() { switch_to(next()); }

void Scheduler::wake(Warp& warp, std::uint32_t lanes) {
  if (lanes == 0) return;
  if (warp.ready == 0) {
    warp.ready_slot = static_cast<unsigned>(ready_warps_.size());
    ready_warps_.push_back(&warp);
  }
  warp.ready |= lanes;
}

void Scheduler::wake_pollers() {
  for (Thread* thread : pollers_) wake(*thread->warp, 1u << thread->lane);
  pollers_.clear();
}

bool Scheduler::wake_idle_pollers() {
  if (pollers_.empty() || ++idle_rounds_ > kIdleRounds) return false;
  wake_pollers();
  return true;
}

void Scheduler::count_spin() {
  if (++spins_ > kSpins) {
    fail(cudaErrorLaunchTimeout, "the block makes atomic operations for ever and nothing else", Caller{});
  }
}

Block* Scheduler::block_of_shared(const void* address) const {
  for (Block* block : cluster_) {
    if (block->arena.reserves(address)) return block;
  }
  return nullptr;
}

}  // namespace roap::simt
