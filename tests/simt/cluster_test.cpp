#include "kernels/common/ptx/cluster.h"

#include "kernels/common/ptx/bulk_copy.h"
#include "kernels/common/ptx/mbarrier.h"
#include "kernels/common/shared.h"
#include "kernels/common/tensor_map.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Cluster = SimtTest;

/// Every block reads the value of its right neighbour in the cluster.
__global__ void neighbour_kernel(int* out) {
  ROAP_SHARED(value, int[2]);
  const std::uint32_t rank = ptx::cluster_rank(), size = ptx::cluster_size();
  value[1] = static_cast<int>(100 * blockIdx.x + rank);
  ptx::cluster_sync();
  const int* neighbour = ptx::map_shared(&value[0], (rank + 1) % size);
  if (threadIdx.x == 0) out[blockIdx.x] = neighbour[1];
  ptx::cluster_sync();  // nobody leaves while others read
}

TEST_F(Cluster, BlocksReadEachOthersSharedMemory) {
  for (const int size : {1, 2, 4, 8}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      set_seed(seed);
      DeviceArray<int> out(16);
      cuda::launch("neighbour", {.grid = 16, .block = 33, .cluster = size}, nullptr, neighbour_kernel, out.data());
      const auto found = out.values();
      for (int i = 0; i < 16; ++i) {
        const int rank = (i + 1) % size;
        EXPECT_EQ(found[i], 100 * (i / size * size + rank) + rank) << size << " " << i;
      }
    }
  }
}

/// Each block copies its part of the rows into the shared memory of all.
__global__ void multicast_kernel(const __grid_constant__ CUtensorMap map, float* out) {
  ROAP_SHARED(full, std::uint64_t);
  ROAP_SHARED(done, std::uint64_t);
  float* rows = cuda::dynamic_shared<float>();
  const std::uint32_t rank = ptx::cluster_rank(), size = ptx::cluster_size();
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&full, 1);
    ptx::mbarrier_init(&done, size);
    ptx::mbarrier_fence_init();
  }
  ptx::cluster_sync();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&full, size * 8 * 128);
    ptx::tensor_copy_2d_multicast(rows + rank * 8 * 32, &map, static_cast<int>(rank) * 8, 0, &full,
                                  static_cast<std::uint16_t>((1u << size) - 1));
  }
  ptx::mbarrier_wait(&full, 0);
  for (unsigned i = threadIdx.x; i < size * 8 * 32; i += blockDim.x) out[rank * size * 8 * 32 + i] = rows[i];
  __syncthreads();
  if (threadIdx.x < size) ptx::mbarrier_arrive_remote(&done, threadIdx.x);
  ptx::mbarrier_wait(&done, 0);
  ptx::cluster_sync();
}

TEST_F(Cluster, MulticastReachesAllBlocks) {
  constexpr int kSize = 4, kRows = 8 * kSize;
  std::vector<float> x(kRows * 32);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  DeviceArray<float> device_x(x), out(kSize * x.size());
  const CUtensorMap map = cuda::tensor_map_2d(device_x.data(), {.rows = kRows, .columns = 32, .row_stride = 32},
                                              {.rows = 8, .columns = 32}, cuda::Swizzle::none);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    set_seed(seed);
    cuda::launch("multicast", {.grid = kSize, .block = 64, .shared_bytes = x.size() * 4, .cluster = kSize}, nullptr,
                 multicast_kernel, map, out.data());
    const auto found = out.values();
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], x[i % x.size()]);
  }
}

/// The same with copies of plain memory.
__global__ void bulk_multicast_kernel(const float* x, float* out) {
  ROAP_SHARED(full, std::uint64_t);
  float* rows = cuda::dynamic_shared<float>();
  const std::uint32_t rank = ptx::cluster_rank(), size = ptx::cluster_size();
  constexpr unsigned kOfBlock = 64;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&full, 1);
    ptx::mbarrier_fence_init();
  }
  ptx::cluster_sync();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&full, size * kOfBlock * sizeof(float));
    ptx::bulk_copy_multicast(rows + rank * kOfBlock, x + rank * kOfBlock, kOfBlock * sizeof(float), &full,
                             static_cast<std::uint16_t>((1u << size) - 1));
  }
  ptx::mbarrier_wait(&full, 0);
  for (unsigned i = threadIdx.x; i < size * kOfBlock; i += blockDim.x) out[rank * size * kOfBlock + i] = rows[i];
  ptx::cluster_sync();
}

TEST_F(Cluster, BulkMulticastReachesAllBlocks) {
  constexpr int kSize = 3;
  std::vector<float> x(64 * kSize);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  DeviceArray<float> device_x(x), out(kSize * x.size());
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    set_seed(seed);
    cuda::launch("bulk_multicast", {.grid = kSize, .block = 64, .shared_bytes = x.size() * 4, .cluster = kSize},
                 nullptr, bulk_multicast_kernel, device_x.data(), out.data());
    const auto found = out.values();
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], x[i % x.size()]);
  }
}

// Misuse.

constexpr int kDeadlockLine = __LINE__ + 1;
__global__ void deadlock_kernel() {
  if (ptx::cluster_rank() == 0 || threadIdx.x >= 32) {
    ptx::cluster_sync();
  } else {
    __syncthreads();
  }
}

TEST_F(Cluster, BarrierThatSomeThreadsMissIsReported) {
  expect_failure_of(
      {.grid = 2, .block = 64, .cluster = 2}, cudaErrorLaunchTimeout,
      {"deadlock", "64 threads (0 to 63) of block (0, 0, 0): wait in cluster_wait",
       "32 threads (0 to 31) of block (1, 0, 0): wait in __syncthreads",
       "32 threads (32 to 63) of block (1, 0, 0): wait in cluster_wait", line_of(__FILE__, kDeadlockLine + 4)},
      deadlock_kernel);
}

__global__ void barrier_order_kernel(int bug) {
  if (bug == 0) ptx::cluster_wait();
  ptx::cluster_arrive();
  if (bug == 1) ptx::cluster_arrive();
  ptx::cluster_wait();
}

TEST_F(Cluster, ArriveAndWaitMustTakeTurns) {
  const cuda::LaunchShape shape{.grid = 2, .block = 32, .cluster = 2};
  expect_failure_of(shape, cudaErrorIllegalInstruction, {"cluster_wait without cluster_arrive"}, barrier_order_kernel,
                    0);
  expect_failure_of(shape, cudaErrorIllegalInstruction, {"cluster_arrive twice"}, barrier_order_kernel, 1);
  cuda::launch("barrier_order", shape, nullptr, barrier_order_kernel, 2);
}

__global__ void leave_early_kernel(int* out) {
  ROAP_SHARED(value, int);
  value = 1;
  ptx::cluster_sync();
  if (ptx::cluster_rank() == 0) return;  // although the other block still reads its memory
  out[threadIdx.x] = *ptx::map_shared(&value, 0);
}

TEST_F(Cluster, SharedMemoryOfABlockThatEndedIsReported) {
  int reports = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    set_seed(seed);
    DeviceArray<int> out(32);
    try {
      cuda::launch("leave_early", {.grid = 2, .block = 32, .cluster = 2}, nullptr, leave_early_kernel, out.data());
    } catch (const DeviceError&) {
      EXPECT_NE(last_report().find("a block that has ended"), std::string::npos) << last_report();
      ++reports;
    }
    reset();
  }
  EXPECT_GT(reports, 0);
}

__global__ void empty_kernel() {}

TEST_F(Cluster, SizesThatTheHardwareLacksAreRefused) {
  for (const auto& [grid, size] : {std::pair{16u, 16}, std::pair{6u, 4}, std::pair{9u, 9}}) {
    EXPECT_THROW(cuda::launch("empty", {.grid = grid, .block = 32, .cluster = size}, nullptr, empty_kernel),
                 DeviceError);
  }
  EXPECT_EQ(cudaFuncSetAttribute(empty_kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1), cudaSuccess);
  EXPECT_NO_THROW(cuda::launch("empty", {.grid = 16, .block = 32, .cluster = 16}, nullptr, empty_kernel));
}

}  // namespace
}  // namespace roap::simt
