#include "kernels/common/shared.h"

#include <cmath>
#include <cstring>

#include "tests/simt/sanitizer.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Shared = SimtTest;

// Under AddressSanitizer, its own report ends the process, with the access's place; without, ours ends the launch.
#define EXPECT_BAD_ACCESS(error, parts, ...)                               \
  do {                                                                     \
    if (kSanitized) {                                                      \
      testing::FLAGS_gtest_death_test_style = "threadsafe";                \
      EXPECT_DEATH(run_block(__VA_ARGS__), "use-after-poison|AddressSan"); \
    } else {                                                               \
      expect_failure(error, parts, __VA_ARGS__);                           \
    }                                                                      \
  } while (false)
using Parts = std::vector<std::string>;

__global__ void poison_kernel(int blocks, float* out) {
  ROAP_SHARED(values, float[33]);
  float* dynamic = cuda::dynamic_shared<float>();
  if (threadIdx.x == 0) {
    out[3 * blockIdx.x] = values[32];
    out[3 * blockIdx.x + 1] = dynamic[0];
    out[3 * blockIdx.x + 2] = dynamic[24];
    values[32] = dynamic[0] = dynamic[24] = 1.0f;  // for the next block to find, if it could
  }
}

TEST_F(Shared, EveryBlockFindsPoison) {
  DeviceArray<float> out(30);
  cuda::launch("poison", {.grid = 10, .block = 32, .shared_bytes = 100}, nullptr, poison_kernel, 10, out.data());
  for (const float x : out.values()) EXPECT_TRUE(std::isnan(x));
}

template <class T>
__device__ T doubled_through_shared(T x) {
  ROAP_SHARED(values, T[32]);
  __syncwarp();  // an earlier call's values may still be read
  values[threadIdx.x] = x;
  __syncwarp();
  return values[threadIdx.x ^ 1] + values[threadIdx.x];
}

__global__ void instances_kernel(double* out) {
  // Two instances of one function have an array each, and a second call uses the same.
  const int a = doubled_through_shared(1);
  const double b = doubled_through_shared(0.25);
  out[threadIdx.x] = a + b + doubled_through_shared(0.125);
}

TEST_F(Shared, InstancesOfAFunctionHaveTheirOwnArrays) {
  DeviceArray<double> out(32);
  run_block(32, instances_kernel, out.data());
  EXPECT_EQ(out.values(), std::vector<double>(32, 2.75));
}

__global__ void alignment_kernel(std::uint64_t* addresses) {
  ROAP_SHARED(bytes, unsigned char[3]);
  ROAP_SHARED(words, float[5]);
  ROAP_SHARED_ALIGNED(vectors, 16, float[5]);
  ROAP_SHARED_ALIGNED(rows, 128, float[5]);
  const void* all[] = {bytes, words, vectors, rows, cuda::dynamic_shared<float>()};
  for (int i = 0; i < 5; ++i) addresses[i] = __cvta_generic_to_shared(all[i]);
}

TEST_F(Shared, ArraysAreAlignedAsAskedAndNoBetter) {
  DeviceArray<std::uint64_t> addresses(5);
  cuda::launch("alignment", {.grid = 1, .block = 1, .shared_bytes = 4}, nullptr, alignment_kernel, addresses.data());
  const auto found = addresses.values();
  constexpr std::uint64_t kAlignments[] = {1, 4, 16, 128};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(found[i] % (2 * kAlignments[i]), kAlignments[i]) << i;
  EXPECT_EQ(found[4] % 1024, 0u);
}

__global__ void write_kernel(std::ptrdiff_t index, bool dynamic) {
  ROAP_SHARED(first, float[8]);
  ROAP_SHARED(second, float[8]);
  if (dynamic) {
    cuda::dynamic_shared<float>()[index] = 1.0f;
  } else {
    float* const values = first;  // a pointer, whose end only the emulator knows
    second[0] = 1.0f;
    values[index] = 1.0f;
  }
}

TEST_F(Shared, WriteJustBehindAnArrayIsReported) {
  EXPECT_BAD_ACCESS(cudaErrorIllegalAddress, (Parts{"0 bytes behind the 32 bytes of first"}), 1, write_kernel,
                    std::ptrdiff_t{8}, false);
}

TEST_F(Shared, WriteJustBeforeTheFirstArrayIsReported) {
  EXPECT_BAD_ACCESS(cudaErrorIllegalAddress, (Parts{"before the first array"}), 1, write_kernel, std::ptrdiff_t{-2},
                    false);
}

TEST_F(Shared, WriteJustBehindDynamicMemoryIsReported) {
  const cuda::LaunchShape shape{.grid = 1, .block = 1, .shared_bytes = 64};
  if (kSanitized) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(cuda::launch("test_kernel", shape, nullptr, write_kernel, 16, true), "use-after-poison");
  } else {
    expect_failure_of(shape, cudaErrorIllegalAddress, {"0 bytes behind the 64 bytes of dynamic shared memory"},
                      write_kernel, 16, true);
  }
}

TEST_F(Shared, WriteFarBehindIsReported) {
  for (const std::ptrdiff_t index : {std::ptrdiff_t{4096}, std::ptrdiff_t{100000}, std::ptrdiff_t{7} << 20}) {
    expect_failure(cudaErrorIllegalAddress, {"access to shared memory", "bytes behind the 32 bytes of", "thread (0"}, 1,
                   write_kernel, index, false);
  }
  expect_failure(cudaErrorIllegalAddress, {"before the shared memory"}, 1, write_kernel, std::ptrdiff_t{-100000},
                 false);
}

__global__ void dynamic_kernel(std::size_t offset) { *cuda::dynamic_shared<float>(offset) = 1.0f; }

TEST_F(Shared, DynamicMemoryBeyondTheLaunchIsReported) {
  const cuda::LaunchShape shape{.grid = 1, .block = 1, .shared_bytes = 64};
  cuda::launch("test_kernel", shape, nullptr, dynamic_kernel, 60);
  expect_failure_of(shape, cudaErrorIllegalAddress, {"offset 64 of 64 bytes", line_of(__FILE__, __LINE__ - 5)},
                    dynamic_kernel, 64);
  expect_failure_of(shape, cudaErrorIllegalAddress, {"offset 2 of 64"}, dynamic_kernel, 2);
}

template <int kSize>
__global__ void static_kernel() {
  ROAP_SHARED(large, float[kSize]);
  large[0] = 1.0f;
}

TEST_F(Shared, LimitsAreThoseOfAnH100) {
  constexpr std::size_t kMost = 227 * 1024;
  expect_failure(cudaErrorLaunchOutOfResources, {"49156 bytes of static shared memory with array large"}, 1,
                 static_kernel<48 * 256 + 1>);
  cuda::launch("dynamic", {.grid = 1, .block = 1, .shared_bytes = kMost}, nullptr, dynamic_kernel, kMost - 4);
  EXPECT_THROW(cuda::launch("dynamic", {.grid = 1, .block = 1, .shared_bytes = kMost + 1}, nullptr, dynamic_kernel, 0),
               DeviceError);
  reset();
  expect_failure_of({.grid = 1, .block = 1, .shared_bytes = kMost - 4000}, cudaErrorLaunchOutOfResources,
                    {"4096 bytes of static", "of dynamic"}, static_kernel<1024>);
}

__global__ void wild_kernel(float* p) { *p = 1.0f; }

TEST_F(Shared, WildPointersAreReported) {
  auto* unmapped = reinterpret_cast<float*>(std::uintptr_t{16} << 40);
  expect_failure(cudaErrorIllegalAddress, {"access to address"}, 1, wild_kernel, unmapped);
}

__device__ int deep(int level) {
  volatile int space[1024];
  space[0] = level;
  return level == 0 ? 0 : deep(level - 1) + space[0];
}

__global__ void deep_kernel(int levels, int* out) { *out = deep(levels); }

TEST_F(Shared, StackOverflowIsReported) {
  DeviceArray<int> out(1);
  expect_failure(cudaErrorIllegalAddress, {"stack overflow"}, 1, deep_kernel, 1000, out.data());
  run_block(1, deep_kernel, 3, out.data());
  EXPECT_EQ(out.values()[0], 6);
}

__global__ void divide_kernel(int* x) { x[0] = x[1] / x[2]; }

TEST_F(Shared, DivisionByZeroIsReported) {
  if (kSanitized) GTEST_SKIP() << "UndefinedBehaviorSanitizer reports it first";
  DeviceArray<int> x(std::vector<int>{0, 1, 0});
  expect_failure(cudaErrorIllegalInstruction, {"division by zero"}, 1, divide_kernel, x.data());
}

__global__ void write_behind_kernel(float* p, int index) { p[index] = 1.0f; }

TEST_F(Shared, WriteBehindGlobalMemoryIsReported) {
  DeviceArray<float> x(5);
  if (kSanitized) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(run_block(1, write_behind_kernel, x.data(), 5), "heap-buffer-overflow");
    return;
  }
  EXPECT_THROW(run_block(1, write_behind_kernel, x.data(), 5), DeviceError);
  EXPECT_NE(last_report().find("byte 20 of an allocation of 20 bytes"), std::string::npos) << last_report();
}

}  // namespace
}  // namespace roap::simt
