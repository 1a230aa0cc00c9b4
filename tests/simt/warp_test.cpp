#include <algorithm>
#include <numeric>

#include "kernels/common/reduce.cuh"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Warp = SimtTest;

struct ShuffleResults {
  int from, up, down, exclusive_or;
  long long wide;
};

__global__ void shuffle_kernel(int width, ShuffleResults* results) {
  const int lane = static_cast<int>(threadIdx.x), value = 100 + lane;
  results[lane] = {__shfl_sync(0xffffffffu, value, 3, width), __shfl_up_sync(0xffffffffu, value, 2u, width),
                   __shfl_down_sync(0xffffffffu, value, 5u, width), __shfl_xor_sync(0xffffffffu, value, 9, width),
                   __shfl_sync(0xffffffffu, (1ll << 40) + lane, lane + 1, width)};
}

// The definitions of the CUDA C++ programming guide, section "Warp Shuffle Functions".
ShuffleResults expected_shuffle(int lane, int width) {
  const int first = lane / width * width, last = first + width - 1;
  const auto own_unless = [&](bool inside, int source) { return 100 + (inside ? source : lane); };
  return {100 + first + 3 % width, own_unless(lane - 2 >= first, lane - 2), own_unless(lane + 5 <= last, lane + 5),
          own_unless((lane ^ 9) <= last, lane ^ 9), (1ll << 40) + first + (lane + 1) % width};
}

TEST_F(Warp, ShufflesMoveValuesWithinTheirWidth) {
  for (const int width : {2, 4, 8, 16, 32}) {
    DeviceArray<ShuffleResults> results(32);
    run_block(32, shuffle_kernel, width, results.data());
    const auto found = results.values();
    for (int lane = 0; lane < 32; ++lane) {
      const ShuffleResults expected = expected_shuffle(lane, width);
      EXPECT_EQ(found[lane].from, expected.from) << width << " " << lane;
      EXPECT_EQ(found[lane].up, expected.up) << width << " " << lane;
      EXPECT_EQ(found[lane].down, expected.down) << width << " " << lane;
      EXPECT_EQ(found[lane].exclusive_or, expected.exclusive_or) << width << " " << lane;
      EXPECT_EQ(found[lane].wide, expected.wide) << width << " " << lane;
    }
  }
}

struct VoteResults {
  unsigned ballot, match, sum, smallest, all_bits, no_bits, odd_bits;
  int all, any, none, largest;
};

__global__ void vote_kernel(unsigned mask, VoteResults* results) {
  const unsigned lane = threadIdx.x;
  if ((mask >> lane & 1u) == 0) return;
  VoteResults r{};
  r.ballot = __ballot_sync(mask, lane % 3 == 0);
  r.all = __all_sync(mask, lane < 31);
  r.any = __any_sync(mask, lane == 7);
  r.none = __any_sync(mask, lane > 31);
  r.match = __match_any_sync(mask, lane % 5);
  r.sum = __reduce_add_sync(mask, lane);
  r.smallest = __reduce_min_sync(mask, lane + 3);
  r.largest = __reduce_max_sync(mask, -static_cast<int>(lane));
  r.all_bits = __reduce_and_sync(mask, lane);
  r.no_bits = __reduce_or_sync(mask, lane);
  r.odd_bits = __reduce_xor_sync(mask, lane);
  results[lane] = r;
}

TEST_F(Warp, VotesAndReductionsUseTheLanesOfTheMask) {
  for (const unsigned mask : {0xffffffffu, 0x1u, 0x80000000u, 0x7fffffffu, 0x0f0f0f0fu}) {
    DeviceArray<VoteResults> results(32);
    run_block(32, vote_kernel, mask, results.data());
    VoteResults expected{};
    expected.smallest = expected.all_bits = 0xffffffffu;
    expected.all = 1;
    expected.largest = -32;
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1u) == 0) continue;
      if (lane % 3 == 0) expected.ballot |= 1u << lane;
      expected.all &= lane < 31;
      expected.any |= lane == 7;
      expected.sum += lane;
      expected.smallest = std::min(expected.smallest, lane + 3);
      expected.largest = std::max(expected.largest, -static_cast<int>(lane));
      expected.all_bits &= lane;
      expected.no_bits |= lane;
      expected.odd_bits ^= lane;
    }
    const auto found = results.values();
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1u) == 0) continue;
      unsigned match = 0;
      for (unsigned other = lane % 5; other < 32; other += 5) match |= 1u << other;
      const VoteResults& r = found[lane];
      EXPECT_EQ(r.ballot, expected.ballot);
      EXPECT_EQ(r.match, match & mask);
      EXPECT_EQ(r.all, expected.all);
      EXPECT_EQ(r.any, expected.any);
      EXPECT_EQ(r.none, 0);
      EXPECT_EQ(r.sum, expected.sum);
      EXPECT_EQ(r.smallest, expected.smallest);
      EXPECT_EQ(r.largest, expected.largest);
      EXPECT_EQ(r.all_bits, expected.all_bits);
      EXPECT_EQ(r.no_bits, expected.no_bits);
      EXPECT_EQ(r.odd_bits, expected.odd_bits);
    }
  }
}

__global__ void independent_groups_kernel(int* sums) {
  const unsigned lane = threadIdx.x, mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  int sum = static_cast<int>(lane);
  // The halves make different numbers of calls.
  for (unsigned round = 0; round < (lane < 16 ? 1u : 3u); ++round) {
    sum = static_cast<int>(__reduce_add_sync(mask, static_cast<unsigned>(sum)));
  }
  sums[lane] = sum;
}

TEST_F(Warp, PartsOfAWarpWorkIndependently) {
  DeviceArray<int> sums(32);
  run_block(32, independent_groups_kernel, sums.data());
  EXPECT_EQ(sums.values()[0], 120);
  EXPECT_EQ(sums.values()[31], 376 * 16 * 16);
}

__global__ void ended_lanes_kernel(int* results) {
  if (threadIdx.x >= 20) return;
  const int from_an_ended_lane = __shfl_sync(0xffffffffu, 5, 25);
  results[threadIdx.x] = static_cast<int>(__ballot_sync(0xffffffffu, 1)) + (from_an_ended_lane == -1 ? 1 : 0);
}

TEST_F(Warp, LanesThatEndedOrNeverWereAreNotWaitedFor) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    set_seed(seed);
    for (const int threads : {20, 21, 32}) {
      DeviceArray<int> results(20);
      run_block(threads, ended_lanes_kernel, results.data());
      for (const int result : results.values()) EXPECT_EQ(result, 0xfffff + 1);
    }
  }
}

__global__ void active_mask_kernel(unsigned* masks) { masks[threadIdx.x] = __activemask(); }

TEST_F(Warp, NoLaneMayCountOnAnotherBeingActive) {
  DeviceArray<unsigned> masks(64);
  run_block(64, active_mask_kernel, masks.data());
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(masks.values()[i], 1u << i % 32);
}

template <int kThreads>
__global__ void reduce_kernel(const float* x, float* results) {
  const float value = x[threadIdx.x];
  float* mine = results + 7 * threadIdx.x;
  mine[0] = cuda::block_sum<kThreads>(value);
  mine[1] = cuda::block_max<kThreads>(value);
  mine[2] = cuda::block_min<kThreads>(value);
  mine[3] = cuda::warp_sum(value);
  mine[4] = cuda::group_sum<8>(value);
  mine[5] = cuda::group_max<4>(value);
  mine[6] = cuda::block_sum<kThreads>(1.0f) + cuda::block_sum<kThreads>(2.0f);  // through one array
}

/// The sum by halving that the definition promises.
float halving_sum(const float* x, int count) {
  std::vector<float> values(x, x + count);
  for (int half = count / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) values[i] += values[i + half];
  }
  return values[0];
}

template <int kThreads>
void check_reductions() {
  std::vector<float> x(kThreads);
  for (int i = 0; i < kThreads; ++i) x[i] = 1.0f / static_cast<float>(i * 7 % kThreads + 1) - 0.3f;
  DeviceArray<float> input(x), results(7 * kThreads);
  cuda::launch("reduce", {.grid = 1, .block = kThreads}, nullptr, reduce_kernel<kThreads>, input.data(),
               results.data());
  float sum = halving_sum(x.data(), 32);
  for (int warp = 1; warp < kThreads / 32; ++warp) sum += halving_sum(x.data() + 32 * warp, 32);
  const auto found = results.values();
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_EQ(found[7 * i], sum);
    EXPECT_EQ(found[7 * i + 1], *std::max_element(x.begin(), x.end()));
    EXPECT_EQ(found[7 * i + 2], *std::min_element(x.begin(), x.end()));
    EXPECT_EQ(found[7 * i + 3], halving_sum(x.data() + i / 32 * 32, 32));
    EXPECT_EQ(found[7 * i + 4], halving_sum(x.data() + i / 8 * 8, 8));
    EXPECT_EQ(found[7 * i + 5], *std::max_element(x.begin() + i / 4 * 4, x.begin() + i / 4 * 4 + 4));
    EXPECT_EQ(found[7 * i + 6], 3.0f * kThreads);
  }
}

TEST_F(Warp, ReductionsHaveTheirFixedShapeInEveryOrder) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    set_seed(seed);
    check_reductions<32>();
    check_reductions<96>();
    check_reductions<256>();
    check_reductions<1024>();
  }
}

__global__ void nan_kernel(float* results) {
  const float value = threadIdx.x == 13 ? NAN : static_cast<float>(threadIdx.x);
  results[threadIdx.x] = cuda::block_max<64>(value);
  results[64 + threadIdx.x] = cuda::block_min<64>(value);
}

TEST_F(Warp, MaximumAndMinimumKeepNaN) {
  DeviceArray<float> results(128);
  run_block(64, nan_kernel, results.data());
  for (const float x : results.values()) EXPECT_TRUE(std::isnan(x));
}

// Misuse.

__global__ void mask_without_caller_kernel(int* out) {
  out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0);  // lanes 16 to 31 are not in the mask
}
const std::string kMaskWithoutCaller = line_of(__FILE__, __LINE__ - 2);

TEST_F(Warp, MaskThatLacksTheCallerIsReported) {
  DeviceArray<int> out(32);
  expect_failure(cudaErrorIllegalInstruction, {"__shfl_sync", "lacks the calling lane", kMaskWithoutCaller}, 32,
                 mask_without_caller_kernel, out.data());
}

__global__ void mask_of_absent_lanes_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);  // the others do not come
  __syncthreads();
}
const std::string kMaskOfAbsentLanes = line_of(__FILE__, __LINE__ - 3);

TEST_F(Warp, MaskThatNamesLanesThatDoNotComeIsReported) {
  DeviceArray<int> out(32);
  expect_failure(cudaErrorLaunchTimeout,
                 {"deadlock", "16 threads (0 to 15): wait in __shfl_xor_sync, mask 0xffffffff, " + kMaskOfAbsentLanes,
                  "16 threads (16 to 31): wait in __syncthreads"},
                 32, mask_of_absent_lanes_kernel, out.data());
}

__global__ void different_calls_kernel() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __ballot_sync(0xffffffffu, 1);
  }
}

TEST_F(Warp, DifferentCallsWithOneMaskAreReported) {
  expect_failure(cudaErrorIllegalInstruction, {"different calls", "__syncwarp", "__ballot_sync"}, 32,
                 different_calls_kernel);
}

__global__ void wrong_width_kernel() { __shfl_sync(0xffffffffu, 1, 0, 12); }

TEST_F(Warp, WidthThatIsNoPowerOfTwoIsReported) {
  expect_failure(cudaErrorIllegalInstruction, {"width 12"}, 32, wrong_width_kernel);
}

__global__ void missing_sync_warp_kernel(int* out) {
  ROAP_SHARED(values, int[32]);
  const unsigned lane = threadIdx.x;
  values[lane] = static_cast<int>(lane);
  out[lane] = values[(lane + 1) % 32];  // lanes of a warp do not run in step
}

TEST_F(Warp, MissingSyncWarpShowsAsPoison) {
  DeviceArray<int> out(32);
  run_block(32, missing_sync_warp_kernel, out.data());
  const auto found = out.values();
  EXPECT_GT(std::count(found.begin(), found.end(), -1), 0);
}

}  // namespace
}  // namespace roap::simt
