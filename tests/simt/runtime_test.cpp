#include <cstring>

#include "kernels/common/shared.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

class Runtime : public SimtTest {
 protected:
  Runtime() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  ~Runtime() override { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
  cudaStream_t stream_ = nullptr;
};

__global__ void add_kernel(int* x, int amount) { x[threadIdx.x] += amount; }

void add(int* x, int amount, cudaStream_t stream) {
  cuda::launch("add", {.grid = 1, .block = 4}, stream, add_kernel, x, amount);
}

TEST_F(Runtime, FreshMemoryHoldsPoison) {
  DeviceArray<std::uint32_t> x(5);
  EXPECT_EQ(x.values(), std::vector<std::uint32_t>(5, 0xffffffffu));
}

TEST_F(Runtime, CopiesAndFills) {
  DeviceArray<unsigned char> x(std::vector<unsigned char>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), y(12);
  EXPECT_EQ(cudaMemset(y.data(), 7, 12), cudaSuccess);
  EXPECT_EQ(cudaMemcpy2DAsync(y.data(), 4, x.data() + 1, 3, 2, 3, cudaMemcpyDeviceToDevice, stream_), cudaSuccess);
  EXPECT_EQ(y.values(), (std::vector<unsigned char>{2, 3, 7, 7, 5, 6, 7, 7, 8, 9, 7, 7}));
  EXPECT_EQ(cudaMemsetAsync(y.data() + 4, 0, 2, stream_), cudaSuccess);
  EXPECT_EQ(y.values()[5], 0);
  unsigned char* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 12), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(pinned, x.data(), 12, cudaMemcpyDefault, stream_), cudaSuccess);
  EXPECT_EQ(pinned[11], 12);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(Runtime, WrongCopiesAreErrors) {
  DeviceArray<int> x(4);
  int host[8] = {};
  EXPECT_EQ(cudaMemcpy(x.data(), host, 20, cudaMemcpyHostToDevice), cudaErrorInvalidValue);  // too long
  EXPECT_EQ(cudaMemcpy(host, x.data(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);  // wrong direction
  EXPECT_EQ(cudaMemset(host, 0, 4), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(host), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Runtime, MemoryRunsOut) {
  std::size_t free_bytes = 0, total = 0, after = 0;
  ASSERT_EQ(cudaMemGetInfo(&free_bytes, &total), cudaSuccess);
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, total + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(p, nullptr);
  {
    DeviceArray<char> x(1 << 20);
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(free_bytes - after, std::size_t{1} << 20);
  }
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  EXPECT_EQ(free_bytes, after);
}

TEST_F(Runtime, OneDeviceLikeAnH100) {
  int count = 0, value = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  cudaDeviceProp properties{};
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.major * 10 + properties.minor, 90);
  EXPECT_EQ(properties.multiProcessorCount, 132);
  EXPECT_NE(std::string(properties.name).find("emulator"), std::string::npos);
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(value, 227 * 1024);
  EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, add_kernel, 256, 100 * 1024), cudaSuccess);
  EXPECT_EQ(value, 2);
}

TEST_F(Runtime, LaunchesThatTheHardwareRefusesAreErrors) {
  DeviceArray<int> x(4);
  const auto status = [&](const cuda::LaunchShape& shape) {
    EXPECT_THROW(cuda::launch("add", shape, nullptr, add_kernel, x.data(), 1), DeviceError);
    return cudaGetLastError();
  };
  EXPECT_EQ(status({.grid = 0, .block = 4}), cudaSuccess);  // check_cuda has taken it
  EXPECT_EQ(status({.grid = 1, .block = 1025}), cudaSuccess);
  EXPECT_EQ(status({.grid = {1, 65536}, .block = 4}), cudaSuccess);
  try {
    cuda::launch("add", {.grid = 1, .block = {32, 32, 2}}, nullptr, add_kernel, x.data(), 1);
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_EQ(std::string(error.what()),
              "[cuda] cannot launch kernel add: invalid configuration argument (cudaErrorInvalidConfiguration)");
  }
}

__global__ void shared_bytes_kernel(int* x) { x[0] = *cuda::dynamic_shared<int>(60000); }

TEST_F(Runtime, MoreSharedMemoryMustBeAskedFor) {
  DeviceArray<int> x(1);
  cudaLaunchConfig_t config{};
  config.gridDim = config.blockDim = 1;
  config.dynamicSmemBytes = 64 * 1024;
  EXPECT_EQ(cudaLaunchKernelEx(&config, shared_bytes_kernel, x.data()), cudaErrorInvalidValue);
  EXPECT_NO_THROW(cuda::launch("shared", {.grid = 1, .block = 1, .shared_bytes = 64 * 1024}, nullptr,
                               shared_bytes_kernel, x.data()));
  EXPECT_EQ(x.values()[0], -1);
}

TEST_F(Runtime, EventsMeasureTime) {
  cudaEvent_t begin = nullptr, end = nullptr;
  EXPECT_EQ(cudaEventCreate(&begin), cudaSuccess);
  EXPECT_EQ(cudaEventCreate(&end), cudaSuccess);
  float milliseconds = -1.0f;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
  DeviceArray<int> x(std::vector<int>(4, 0));
  EXPECT_EQ(cudaEventRecord(begin, stream_), cudaSuccess);
  for (int i = 0; i < 100; ++i) add(x.data(), 1, stream_);
  EXPECT_EQ(cudaEventRecord(end, stream_), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaSuccess);
  EXPECT_GT(milliseconds, 0.0f);
  EXPECT_EQ(cudaEventDestroy(begin), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(end), cudaSuccess);
}

TEST_F(Runtime, GraphsReplayWhatWasCaptured) {
  DeviceArray<int> x(std::vector<int>(4, 0)), y(4);
  cudaStreamCaptureStatus status{};
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  add(x.data(), 3, stream_);
  EXPECT_EQ(cudaMemcpyAsync(y.data(), x.data(), 16, cudaMemcpyDeviceToDevice, stream_), cudaSuccess);
  add(x.data(), 4, stream_);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(x.values()[0], 0);  // recorded, not run
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  EXPECT_EQ(x.values(), std::vector<int>(4, 21));
  EXPECT_EQ(y.values(), std::vector<int>(4, 17));
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(Runtime, StreamsJoinACaptureThroughEvents) {
  DeviceArray<int> x(std::vector<int>(4, 0));
  cudaStream_t side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  ASSERT_EQ(cudaStreamCreate(&side), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&join, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(fork, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side, fork), cudaSuccess);
  add(x.data(), 5, side);
  EXPECT_EQ(cudaEventRecord(join, side), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream_, join), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(side, &graph), cudaErrorStreamCaptureUnmatched);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(x.values()[0], 0);
  add(x.data(), 1, side);  // no longer captured
  EXPECT_EQ(x.values()[0], 1);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(fork), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(join), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(side), cudaSuccess);
}

TEST_F(Runtime, WhatACaptureForbidsIsAnError) {
  DeviceArray<int> x(std::vector<int>(4, 0));
  int host[4] = {};
  void* p = nullptr;
  const std::vector<std::function<cudaError_t()>> forbidden = {
      [] { return cudaDeviceSynchronize(); },
      [&] { return cudaStreamSynchronize(stream_); },
      [&] { return cudaMemcpyAsync(host, x.data(), 16, cudaMemcpyDeviceToHost, stream_); },
      [&] { return cudaMemcpy(host, x.data(), 16, cudaMemcpyDeviceToHost); },
      [&] { return cudaMalloc(&p, 16); },
  };
  for (const auto& call : forbidden) {
    EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_NE(call(), cudaSuccess);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }
}

__global__ void fail_kernel() { __trap(); }

TEST_F(Runtime, FailureStaysAndItsReportIsPartOfTheMessage) {
  DeviceArray<int> x(std::vector<int>(4, 0));
  try {
    cuda::launch("fail", {.grid = 1, .block = 1}, stream_, fail_kernel);
    FAIL();
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("kernel fail <<<(1, 1, 1), (1, 1, 1)>>>, block (0, 0, 0), thread (0, 0, 0)"), std::string::npos)
        << text;
    EXPECT_NE(text.find("compute-sanitizer"), std::string::npos) << text;
  }
  int host[4] = {};
  EXPECT_EQ(cudaMemcpy(host, x.data(), 16, cudaMemcpyDeviceToHost), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_THROW(add(x.data(), 1, stream_), DeviceError);
  reset();
  EXPECT_NO_THROW(add(x.data(), 1, stream_));
  EXPECT_EQ(x.values()[0], 1);
}

}  // namespace
}  // namespace roap::simt
