#include "kernels/common/ptx/barrier.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/common/shared.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Barrier = SimtTest;

__global__ void reverse_kernel(int* x, bool synchronize) {
  ROAP_SHARED(values, int[256]);
  for (int round = 0; round < 3; ++round) {
    values[threadIdx.x] = x[threadIdx.x];
    if (synchronize) __syncthreads();
    x[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
    if (synchronize) __syncthreads();
  }
}

/// Whether three reversals made one.
bool reverses(int threads, bool synchronize) {
  std::vector<int> x(threads);
  for (int i = 0; i < threads; ++i) x[i] = i;
  DeviceArray<int> device(x);
  cuda::launch("reverse", {.grid = 1, .block = static_cast<unsigned>(threads)}, nullptr, reverse_kernel, device.data(),
               synchronize);
  std::reverse(x.begin(), x.end());
  return device.values() == x;
}

TEST_F(Barrier, OrdersAccessesInEveryOrderOfThreads) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    set_seed(seed);
    for (const int threads : {1, 31, 32, 33, 97, 256}) EXPECT_TRUE(reverses(threads, true)) << threads;
  }
}

TEST_F(Barrier, MissingOneShowsAsWrongResult) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    set_seed(seed);
    for (const int threads : {31, 64, 256}) EXPECT_FALSE(reverses(threads, false)) << seed << " " << threads;
  }
}

struct Counts {
  int count, all, any, none;
};

__global__ void count_kernel(Counts* results) {
  const int i = static_cast<int>(threadIdx.x);
  Counts r{};
  r.count = __syncthreads_count(i % 3 == 0);
  r.all = __syncthreads_and(i < 1000) * 10 + __syncthreads_and(i != 5);
  r.any = __syncthreads_or(i == 5);
  r.none = __syncthreads_or(i > 1000);
  results[i] = r;
}

TEST_F(Barrier, CountsPredicates) {
  for (const int threads : {6, 32, 75, 256}) {
    DeviceArray<Counts> results(threads);
    run_block(threads, count_kernel, results.data());
    for (const Counts& r : results.values()) {
      EXPECT_EQ(r.count, (threads + 2) / 3);
      EXPECT_EQ(r.all, 10);
      EXPECT_EQ(r.any, 1);
      EXPECT_EQ(r.none, 0);
    }
  }
}

/// Warp 0 produces, warps 1 and 2 consume through a buffer of one value: two named barriers hand it to and fro.
__global__ void hand_over_kernel(int rounds, int* sums) {
  ROAP_SHARED(buffer, int);
  constexpr unsigned kFull = 1, kEmpty = 2, kThreads = 96;
  int sum = 0;
  for (int round = 0; round < rounds; ++round) {
    if (threadIdx.x < 32) {
      if (round > 0) ptx::named_barrier_sync(kEmpty, kThreads);
      if (threadIdx.x == 0) buffer = round;
      ptx::named_barrier_arrive(kFull, kThreads);
    } else {
      ptx::named_barrier_sync(kFull, kThreads);
      sum += buffer;
      if (round + 1 < rounds) ptx::named_barrier_arrive(kEmpty, kThreads);
    }
  }
  sums[threadIdx.x] = sum;
}

TEST_F(Barrier, NamedOnesSynchronizeProducerAndConsumers) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    set_seed(seed);
    DeviceArray<int> sums(96);
    run_block(96, hand_over_kernel, 10, sums.data());
    for (int i = 32; i < 96; ++i) EXPECT_EQ(sums.values()[i], 45);
  }
}

// Misuse.

constexpr int kDivergentLine = __LINE__ + 1;
__global__ void divergent_kernel(int* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
    out[0] = 1;
  } else {
    __syncthreads();
    out[0] = 2;
  }
}

TEST_F(Barrier, DivergentOneIsReported) {
  DeviceArray<int> out(1);
  expect_failure(cudaErrorIllegalInstruction,
                 {"divergent barrier", line_of(__FILE__, kDivergentLine + 2), line_of(__FILE__, kDivergentLine + 5)},
                 64, divergent_kernel, out.data());
}

__global__ void early_return_kernel(int count) {
  if (static_cast<int>(threadIdx.x) >= count) return;
  __syncthreads();
}

TEST_F(Barrier, ThreadsThatEndedAreMissed) {
  expect_failure(cudaErrorLaunchTimeout,
                 {"deadlock", "100 threads (0 to 99): wait in __syncthreads, " + line_of(__FILE__, __LINE__ - 5),
                  "28 threads (100 to 127): ended", "block (0, 0, 0)"},
                 128, early_return_kernel, 100);
}

__global__ void named_too_few_kernel() { ptx::named_barrier_sync(3, 64); }

TEST_F(Barrier, NamedOneThatTooFewReachIsReported) {
  expect_failure(cudaErrorLaunchTimeout, {"32 threads (0 to 31): wait in named_barrier_sync, barrier 0x3"}, 32,
                 named_too_few_kernel);
}

__global__ void named_disagree_kernel() { ptx::named_barrier_sync(3, threadIdx.x < 32 ? 64 : 96); }

TEST_F(Barrier, NamedOneWithDifferentCountsIsReported) {
  expect_failure(cudaErrorIllegalInstruction, {"barrier 3"}, 64, named_disagree_kernel);
}

__global__ void named_wrong_kernel(unsigned id, unsigned threads) { ptx::named_barrier_sync(id, threads); }

TEST_F(Barrier, NamedOneThatDoesNotExistIsReported) {
  expect_failure(cudaErrorIllegalInstruction, {"must be below 16"}, 32, named_wrong_kernel, 16u, 32u);
  expect_failure(cudaErrorIllegalInstruction, {"multiple of 32"}, 32, named_wrong_kernel, 1u, 33u);
}

__global__ void spin_kernel(int* flag, bool atomic) {
  while (atomic ? atomicAdd(flag, 0) == 0 : *static_cast<volatile int*>(flag) == 0) {
    if (!atomic) __nanosleep(10);
  }
}

TEST_F(Barrier, LoopsThatWaitForEverAreReported) {
  DeviceArray<int> flag(std::vector<int>{0});
  expect_failure(cudaErrorLaunchTimeout, {"wait in __nanosleep", line_of(__FILE__, __LINE__ - 6)}, 32, spin_kernel,
                 flag.data(), false);
  expect_failure(cudaErrorLaunchTimeout, {"atomic operations for ever"}, 32, spin_kernel, flag.data(), true);
}

__global__ void signal_kernel(int* flag, int* out, bool sleep) {
  if (threadIdx.x == 0) {
    atomicExch(flag, 1);
  } else {
    while (atomicAdd(flag, 0) == 0) {
      if (sleep) __nanosleep(10);
    }
  }
  out[threadIdx.x] = *flag;
}

TEST_F(Barrier, LoopsThatWaitForAnotherThreadEnd) {
  for (const bool sleep : {false, true}) {
    DeviceArray<int> flag(std::vector<int>{0}), out(128);
    run_block(128, signal_kernel, flag.data(), out.data(), sleep);
    EXPECT_EQ(out.values(), std::vector<int>(128, 1));
  }
}

__global__ void throw_kernel() {
  if (threadIdx.x == 40) throw std::runtime_error("out of ideas, and of a text that is longer than a short string");
  __syncthreads();
}

TEST_F(Barrier, ExceptionsDoNotLeaveTheKernel) {
  expect_failure(cudaErrorLaunchFailure, {"exception", "out of ideas", "thread (40, 0, 0)"}, 64, throw_kernel);
}

__global__ void trap_kernel() {
  if (threadIdx.x == 3) __trap();
}

TEST_F(Barrier, TrapIsReported) {
  expect_failure(cudaErrorLaunchFailure, {"__trap", "thread (3, 0, 0)", line_of(__FILE__, __LINE__ - 4)}, 32,
                 trap_kernel);
}

TEST_F(Barrier, KernelsRunAgainAfterAFailure) {
  for (int i = 0; i < 3; ++i) {
    expect_failure(cudaErrorLaunchTimeout, {"deadlock"}, 512, early_return_kernel, 300);
    EXPECT_TRUE(reverses(256, true));
  }
}

TEST_F(Barrier, SameSeedGivesSameOrder) {
  const auto order = [this](std::uint64_t seed) {
    set_seed(seed);
    DeviceArray<int> flag(std::vector<int>{0}), out(64);
    run_block(
        64, +[](int* next, int* place) { place[threadIdx.x] = atomicAdd(next, 1); }, flag.data(), out.data());
    return out.values();
  };
  EXPECT_EQ(order(7), order(7));
  EXPECT_NE(order(7), order(8));
}

}  // namespace
}  // namespace roap::simt
