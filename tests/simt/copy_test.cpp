#include <cmath>
#include <numeric>

#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/cp_async.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/shared.h"
#include "kernels/common/tensor_map.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Copy = SimtTest;

std::vector<float> counting(std::size_t size) {
  std::vector<float> x(size);
  std::iota(x.begin(), x.end(), 1.0f);
  return x;
}

/// Sums x [rounds][32] element by element through a buffer of kStages stages that are filled ahead.
template <int kStages>
__global__ void pipeline_kernel(int rounds, bool wait, const float* x, float* sums) {
  ROAP_SHARED(stages, float[kStages][32]);
  const unsigned i = threadIdx.x;
  const auto load = [&](int round) {
    if (round < rounds) ptx::cp_async_4(&stages[round % kStages][i], x + 32 * round + i);
    ptx::cp_async_commit();
  };
  for (int round = 0; round < kStages - 1; ++round) load(round);
  float sum = 0.0f;
  for (int round = 0; round < rounds; ++round) {
    load(round + kStages - 1);
    if (wait) ptx::cp_async_wait_group<kStages - 1>();
    sum += stages[round % kStages][i];
  }
  sums[i] = sum;
}

TEST_F(Copy, CpAsyncPipelineDeliversInTime) {
  const int rounds = 7;
  DeviceArray<float> x(counting(32 * rounds)), sums(32);
  run_block(32, pipeline_kernel<3>, rounds, true, x.data(), sums.data());
  for (int i = 0; i < 32; ++i) {
    float expected = 0.0f;
    for (int round = 0; round < rounds; ++round) expected += static_cast<float>(32 * round + i + 1);
    EXPECT_EQ(sums.values()[i], expected);
  }
}

TEST_F(Copy, MissingCpAsyncWaitShowsAsPoison) {
  DeviceArray<float> x(counting(32 * 7)), sums(32);
  run_block(32, pipeline_kernel<3>, 7, false, x.data(), sums.data());
  for (const float sum : sums.values()) EXPECT_TRUE(std::isnan(sum));
}

__global__ void sizes_kernel(const float* x, float* y) {
  ROAP_SHARED_ALIGNED(values, 16, float[16]);
  if (threadIdx.x == 0) {
    ptx::cp_async_16(values, x);
    ptx::cp_async_16(values + 4, x + 4, 12);
    ptx::cp_async_16(values + 8, nullptr, 0);
    ptx::cp_async_8(values + 12, x + 6);
    ptx::cp_async_4(values + 14, x + 3);
    ptx::cp_async_4(values + 15, x + 3, 0);
    ptx::cp_async_commit();
    ptx::cp_async_wait_group<0>();
  }
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

TEST_F(Copy, CpAsyncFillsTheRestWithZeros) {
  DeviceArray<float> x(counting(8)), y(16);
  run_block(16, sizes_kernel, x.data(), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 7, 8, 4, 0}));
}

__global__ void bad_copy_kernel(const float* x, int shared_index, int global_index) {
  ROAP_SHARED_ALIGNED(values, 16, float[8]);
  ptx::cp_async_16(values + shared_index, x + global_index);
}

TEST_F(Copy, BadCpAsyncAddressesAreReported) {
  DeviceArray<float> x(counting(8));
  expect_failure(cudaErrorMisalignedAddress, {"cp_async_16 at values + 4"}, 1, bad_copy_kernel, x.data(), 1, 0);
  expect_failure(cudaErrorMisalignedAddress, {"cp_async_16 from global address"}, 1, bad_copy_kernel, x.data(), 0, 1);
  expect_failure(cudaErrorIllegalAddress, {"behind the 32 bytes of values"}, 1, bad_copy_kernel, x.data(), 8, 0);
}

/// One thread copies x in pieces of 64 bytes through a ring of two stages; the warp adds them up.
__global__ void bulk_kernel(int pieces, const float* x, float* sums) {
  ROAP_SHARED_ALIGNED(stages, 128, float[2][16]);
  ROAP_SHARED(full, std::uint64_t[2]);
  ROAP_SHARED(empty, std::uint64_t[2]);
  const unsigned lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], 32);
    }
    ptx::mbarrier_fence_init();
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    for (int p = 0; lane == 0 && p < pieces; ++p) {
      ptx::mbarrier_wait(&empty[p % 2], static_cast<std::uint32_t>(p / 2 + 1) % 2);
      ptx::mbarrier_arrive_expect_tx(&full[p % 2], 64);
      ptx::bulk_copy(stages[p % 2], x + 16 * p, 64, &full[p % 2]);
    }
  } else {
    float sum = 0.0f;
    for (int p = 0; p < pieces; ++p) {
      while (!ptx::mbarrier_try_wait(&full[p % 2], static_cast<std::uint32_t>(p / 2) % 2)) {
      }
      sum += stages[p % 2][lane % 16];
      ptx::mbarrier_arrive(&empty[p % 2]);
    }
    sums[lane] = sum;
  }
}

TEST_F(Copy, BulkPipelineDeliversInTimeInEveryOrder) {
  const int pieces = 9;
  DeviceArray<float> x(counting(16 * pieces)), sums(32);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    set_seed(seed);
    run_block(64, bulk_kernel, pieces, x.data(), sums.data());
    for (int i = 0; i < 32; ++i) {
      float expected = 0.0f;
      for (int p = 0; p < pieces; ++p) expected += static_cast<float>(16 * p + i % 16 + 1);
      EXPECT_EQ(sums.values()[i], expected);
    }
  }
}

__global__ void read_at_once_kernel(const float* x, float* y) {
  ROAP_SHARED_ALIGNED(values, 16, float[32]);
  ROAP_SHARED(barrier, std::uint64_t);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barrier, 1);
    ptx::mbarrier_arrive_expect_tx(&barrier, 128);
    ptx::bulk_copy(values, x, 128, &barrier);
  }
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];  // the wait should be here
  ptx::mbarrier_wait(&barrier, 0);
}

TEST_F(Copy, MissingMbarrierWaitShowsAsPoison) {
  int poisoned = 0;
  DeviceArray<float> x(counting(32)), y(32);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    set_seed(seed);
    run_block(32, read_at_once_kernel, x.data(), y.data());
    for (const float value : y.values()) poisoned += std::isnan(value) ? 1 : 0;
  }
  EXPECT_GT(poisoned, 0);
}

constexpr int kNeverLine = __LINE__ + 1;
__global__ void never_kernel(std::uint32_t arrivals, std::uint32_t bytes) {
  ROAP_SHARED(barriers, std::uint64_t[2]);
  if (threadIdx.x == 0) ptx::mbarrier_init(&barriers[1], arrivals);
  __syncthreads();
  if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(&barriers[1], bytes);
  ptx::mbarrier_wait(&barriers[1], 0);
}

TEST_F(Copy, MbarrierThatNobodyCompletesIsReported) {
  expect_failure(cudaErrorLaunchTimeout,
                 {"deadlock", "64 threads (0 to 63): wait in mbarrier_wait, parity 0x0 of barriers + 8", "1 arrivals",
                  "0 bytes", line_of(__FILE__, kNeverLine + 5)},
                 64, never_kernel, 2u, 0u);
  expect_failure(cudaErrorLaunchTimeout, {"0 arrivals and 128 bytes to come"}, 64, never_kernel, 1u, 128u);
}

__global__ void uninitialized_kernel() {
  ROAP_SHARED(barrier, std::uint64_t);
  ptx::mbarrier_arrive(&barrier);
}

TEST_F(Copy, UninitializedMbarrierIsReported) {
  expect_failure(cudaErrorIllegalInstruction, {"mbarrier_arrive of barrier + 0", "no initialized mbarrier"}, 1,
                 uninitialized_kernel);
}

__global__ void leave_early_kernel(const float* x) {
  ROAP_SHARED(barrier, std::uint64_t);
  ROAP_SHARED_ALIGNED(values, 16, float[16]);
  ptx::mbarrier_init(&barrier, 1);
  ptx::mbarrier_arrive_expect_tx(&barrier, 64);
  ptx::bulk_copy(values, x, 64, &barrier);
}

TEST_F(Copy, BlockThatEndsBeforeItsCopiesIsReported) {
  DeviceArray<float> x(counting(16));
  expect_failure(cudaErrorLaunchFailure, {"ended before 1 bulk copies"}, 1, leave_early_kernel, x.data());
  expect_failure(cudaErrorIllegalAddress, {"bulk_copy of 64 bytes"}, 1, leave_early_kernel, x.data() + 4);
}

/// Copies the box of the map at (row, column) and hands out shared memory as it is.
template <class T>
__global__ void tensor_kernel(const __grid_constant__ CUtensorMap map, int row, int column, int bytes, T* out) {
  ROAP_SHARED(barrier, std::uint64_t);
  T* box = cuda::dynamic_shared<T>(1024);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barrier, 1);
    ptx::mbarrier_fence_init();
    ptx::mbarrier_arrive_expect_tx(&barrier, static_cast<std::uint32_t>(bytes));
    ptx::tensor_copy_2d(box, &map, row, column, &barrier);
  }
  __syncthreads();
  ptx::mbarrier_wait(&barrier, 0);
  for (int i = static_cast<int>(threadIdx.x); i < bytes / static_cast<int>(sizeof(T)); i += 32) out[i] = box[i];
}

template <class T>
void check_box(const cuda::TensorExtent& extent, const cuda::TensorBox& box, cuda::Swizzle swizzle, int row,
               int column) {
  std::vector<T> x(static_cast<std::size_t>(extent.rows * extent.row_stride));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(static_cast<float>(i % 251 + 1));
  DeviceArray<T> device_x(x);
  const std::size_t count = std::size_t{box.rows} * box.columns;
  DeviceArray<T> out(count);
  cuda::launch("tensor", {.grid = 1, .block = 32, .shared_bytes = 1024 + count * sizeof(T)}, nullptr, tensor_kernel<T>,
               cuda::tensor_map_2d(device_x.data(), extent, box, swizzle), row, column,
               static_cast<int>(count * sizeof(T)), out.data());
  const auto found = out.values();
  for (std::int64_t r = 0; r < box.rows; ++r) {
    for (std::int64_t c = 0; c < box.columns; ++c) {
      const bool inside = row + r >= 0 && row + r < extent.rows && column + c >= 0 && column + c < extent.columns;
      const float expected = inside ? static_cast<float>(x[(row + r) * extent.row_stride + column + c]) : 0.0f;
      // Swizzle<3, 4, 3> of the byte address: bits 4 to 6 become their exclusive or with bits 7 to 9.
      std::size_t byte = (static_cast<std::size_t>(r) * box.columns + c) * sizeof(T);
      if (swizzle == cuda::Swizzle::bytes_128) byte ^= (byte & 0x380) >> 3;
      EXPECT_EQ(static_cast<float>(found[byte / sizeof(T)]), expected) << r << " " << c;
    }
  }
}

TEST_F(Copy, TensorBoxesArriveInTheirLayout) {
  for (const auto& [row, column] : {std::pair{0, 0}, std::pair{3, 8}, std::pair{-2, -5}, std::pair{60, 90}}) {
    check_box<float>({65, 96, 96}, {9, 32}, cuda::Swizzle::bytes_128, row, column);
    check_box<float>({65, 95, 96}, {7, 12}, cuda::Swizzle::none, row, column);
    check_box<__nv_bfloat16>({65, 96, 104}, {16, 64}, cuda::Swizzle::bytes_128, row, column);
    check_box<__nv_bfloat16>({1, 8, 8}, {1, 8}, cuda::Swizzle::none, row, column);
  }
}

TEST_F(Copy, TensorMapsThatTheHardwareCannotReadAreRefused) {
  DeviceArray<float> x(64 * 32);
  const cuda::TensorExtent good{.rows = 64, .columns = 32, .row_stride = 32};
  EXPECT_NO_THROW(cuda::tensor_map_2d(x.data(), good, {8, 32}));
  EXPECT_THROW(cuda::tensor_map_2d(x.data() + 1, good, {8, 32}), DeviceError);
  EXPECT_THROW(cuda::tensor_map_2d(x.data(), {.rows = 64, .columns = 31, .row_stride = 31}, {8, 32}), DeviceError);
  EXPECT_THROW(cuda::tensor_map_2d(x.data(), good, {257, 32}), DeviceError);
  EXPECT_THROW(cuda::tensor_map_2d(x.data(), good, {8, 64}), DeviceError);
  EXPECT_THROW(cuda::tensor_map_2d(x.data(), {.rows = 65, .columns = 32, .row_stride = 32}, {8, 32}), DeviceError);
}

}  // namespace
}  // namespace roap::simt
