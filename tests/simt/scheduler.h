#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/simt/counts.h"
#include "tests/simt/machine.h"
#include "tests/simt/random.h"

namespace roap::simt {

/// Runs kernels: one cluster of blocks after the other, in a random order; in it one thread at a time, until it has to
/// wait. The next is a random lane, mostly of the same warp. All of this is a function of the seed.
class Scheduler {
 public:
  /// Runs a whole launch. Returns the error of a kernel that failed; fail() has kept its report.
  cudaError_t run(const KernelLaunch& launch);

  void set_seed(std::uint64_t seed);
  [[nodiscard]] std::uint64_t switches() const { return switches_; }
  /// Whether a kernel is running, that is, the caller is one of its threads.
  [[nodiscard]] bool running() const { return current_ != nullptr; }

  // For the operations of running threads.
  [[nodiscard]] Thread& current() const { return *current_; }
  [[nodiscard]] const KernelLaunch& launch() const { return *launch_; }
  /// Of the kernel that runs.
  [[nodiscard]] KernelCounts& counts() { return *counts_; }
  [[nodiscard]] SharedLayout& layout() { return layout_; }
  [[nodiscard]] unsigned long long launch_number() const { return launch_number_; }
  [[nodiscard]] const std::vector<Block*>& cluster() const { return cluster_; }
  [[nodiscard]] unsigned live_threads() const { return live_threads_; }
  /// The block whose shared memory contains the address, or null.
  [[nodiscard]] Block* block_of_shared(const void* address) const;

  /// Suspends the current thread until wake() names it. A caller does nothing after it, if it can, so that the call of
  /// suspend() is its last and the way back is short.
  void wait(const Waiting& waiting) {
    current_->waiting = waiting;
    suspend();
  }
  /// Suspends it until nothing else can run or wake_pollers() is called.
  void poll(const Waiting& waiting);
  /// Lets another thread go first, or not.
  void yield();
  void wake(Warp& warp, std::uint32_t lanes);
  void wake_pollers();
  /// An operation that other threads can notice took place: loops that wait are not stuck.
  void made_progress() { idle_rounds_ = 0, spins_ = 0; }
  /// An atomic operation, which may be one turn of such a loop.
  void count_spin();
  /// Something that happens at a random later time, in some blocks not before no thread can run.
  void defer(std::function<void()> action) { deferred_.push_back(std::move(action)); }
  [[nodiscard]] Random& random() { return random_; }

  /// Ends the launch: the report says what went wrong and which thread did it. Leaves the fiber for good without
  /// destroying anything on its stack, so callers must own no memory but `what`.
  [[noreturn]] void fail(cudaError_t error, std::string what, const Caller& caller);
  /// What lies at an address that the running thread must not access.
  [[nodiscard]] std::string describe_address(const void* address) const;

 private:
  static KernelCounts& start_counting(const KernelLaunch& launch);
  static void fiber_body();
  void suspend();
  void start_cluster(std::uint64_t number);
  void run_cluster();
  void check_after_cluster();
  void start_block(Block& block);
  void run_thread();
  void finish_thread();
  Thread* next();
  bool wake_idle_pollers();
  void run_deferred();
  void enter(Thread* thread);
  void switch_to(Thread* thread);
  void remove_ready(Warp& warp, std::uint32_t lane_bit);
  void keep_report(cudaError_t error, std::string_view what, const Block& block, const Thread* thread = nullptr,
                   const Caller& caller = {});
  [[nodiscard]] std::string describe_deadlock() const;

  std::uint64_t seed_ = 0;
  unsigned long long launch_number_ = 0;  ///< since the start
  std::uint64_t launches_of_seed_ = 0;
  std::uint64_t switches_ = 0;
  Random random_;
  std::thread::id host_thread_;
  Fiber host_;
  FiberPool fibers_;
  std::vector<std::unique_ptr<Block>> blocks_;

  const KernelLaunch* launch_ = nullptr;
  KernelCounts* counts_ = nullptr;
  SharedLayout layout_;
  std::vector<Block*> cluster_;
  Thread* current_ = nullptr;
  Warp* current_warp_ = nullptr;
  unsigned live_threads_ = 0;
  unsigned turn_ = 1;     ///< a warp keeps running until, once in so many times, another gets its turn
  unsigned landing_ = 0;  ///< a deferred action takes place once in so many times; 0: only when no thread can run
  std::vector<Warp*> ready_warps_;
  std::vector<Thread*> pollers_;
  std::vector<std::function<void()>> deferred_;
  std::function<void()> deferred_now_;  ///< here, because it may fail
  unsigned idle_rounds_ = 0;
  unsigned spins_ = 0;
  cudaError_t error_ = cudaSuccess;
};

namespace detail {
extern Scheduler scheduler;
}
inline Scheduler& scheduler() { return detail::scheduler; }

// Called by the scheduler when a thread ends, which may complete what others wait for.
void lane_ended(Warp& warp);
void thread_left_cluster(Thread& thread);
void reset_cluster_barrier();

}  // namespace roap::simt
