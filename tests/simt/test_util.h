#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/common/launch.h"
#include "tests/simt/simt.h"

// Helpers of the emulator's tests.

namespace roap::simt {

/// Device memory with the values of a vector.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) {
    cuda::check_cuda(cudaMalloc(&data_, size * sizeof(T)), "allocate memory");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    cuda::check_cuda(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "copy to the device");
  }
  DeviceArray(const DeviceArray&) = delete;
  ~DeviceArray() { static_cast<void>(cudaFree(data_)); }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::vector<T> values() const {
    std::vector<T> copy(size_);
    cuda::check_cuda(cudaMemcpy(copy.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy from the device");
    return copy;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

/// Numbers that bf16 and tf32 hold exactly and whose products add up exactly in f32, so that sums are equal in any
/// order.
template <class T>
std::vector<T> exact_numbers(int count, int first) {
  std::vector<T> x(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) x[i] = static_cast<float>(((first + i) * 37 + 11) % 61 - 30) / 8.0f;
  return x;
}

/// Every test begins without failures of earlier ones.
class SimtTest : public testing::Test {
 protected:
  SimtTest() { reset(); }
  ~SimtTest() override {
    reset();
    set_seed(0);
  }

  /// Runs one block of `threads` threads of the kernel.
  template <class... Parameters, class... Arguments>
  void run_block(int threads, void (*kernel)(Parameters...), Arguments... arguments) {
    cuda::launch("test_kernel", {.grid = 1, .block = static_cast<unsigned>(threads)}, nullptr, kernel, arguments...);
  }

  /// Runs one block and expects it to fail with this error and a report that contains all of `parts`.
  template <class... Parameters, class... Arguments>
  void expect_failure(cudaError_t error, const std::vector<std::string>& parts, int threads,
                      void (*kernel)(Parameters...), Arguments... arguments) {
    expect_failure_of({.grid = 1, .block = static_cast<unsigned>(threads)}, error, parts, kernel, arguments...);
  }

  template <class... Parameters, class... Arguments>
  void expect_failure_of(const cuda::LaunchShape& shape, cudaError_t error, const std::vector<std::string>& parts,
                         void (*kernel)(Parameters...), Arguments... arguments) {
    EXPECT_THROW(cuda::launch("test_kernel", shape, nullptr, kernel, arguments...), DeviceError);
    EXPECT_EQ(cudaPeekAtLastError(), error) << last_report();
    EXPECT_NE(last_report().find("test_kernel"), std::string::npos) << last_report();
    for (const std::string& part : parts) EXPECT_NE(last_report().find(part), std::string::npos) << last_report();
    EXPECT_EQ(cudaDeviceSynchronize(), error) << "the error must stay";
    reset();
  }
};

/// The line on which it is used, as reports show it.
inline std::string line_of(const char* file, int line) { return std::string(file) + ":" + std::to_string(line); }

}  // namespace roap::simt
