#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "kernels/common/device_code.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/ptx/wgmma.h"
#include "kernels/common/reduce.cuh"
#include "tests/simt/demo/demo.h"
#include "tests/simt/test_util.h"

// Prints how fast the emulator is; the README's figures come from here.

namespace roap::simt {
namespace {

__global__ void barriers_kernel(int rounds) {
  for (int i = 0; i < rounds; ++i) __syncthreads();
}

__global__ void shuffles_kernel(int rounds, float* out) {
  float x = 1.0f;
  for (int i = 0; i < rounds; ++i) x = cuda::warp_sum(x) * 0.03125f;
  out[threadIdx.x] = x;
}

__global__ void products_kernel(int rounds, float* out) {
  float d[4] = {};
  const std::uint32_t a[4] = {1, 2, 3, 4};
  for (int i = 0; i < rounds; ++i) ptx::mma_m16n8k16(d, a, 5, 6);
  out[threadIdx.x] = d[0];
}

__global__ void warpgroup_products_kernel(int rounds, float* out) {
  const auto* tile = cuda::dynamic_shared<__nv_bfloat16>();
  float d[128];
  for (int i = 0; i < rounds; ++i) {
    ptx::wgmma_fence();
    ptx::wgmma_m64n256k16(d, ptx::wgmma_descriptor(tile), ptx::wgmma_descriptor(tile), false);
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
  }
  out[threadIdx.x] = d[0];
}

__global__ void scale_kernel(std::int64_t count, float* x) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) x[i] *= 0.5f;
}

/// Processor time of this process, which other programs on the machine disturb less than elapsed time.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of the fastest of a few runs, and the switches of one.
struct Measured {
  double seconds = 1e9;
  double switches = 0;
};

Measured measure(const std::function<void()>& run) {
  Measured best;
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = switch_count();
    const double begin = processor_seconds();
    run();
    best.seconds = std::min(best.seconds, processor_seconds() - begin);
    best.switches = static_cast<double>(switch_count() - before);
  }
  return best;
}

void print_all() {
  constexpr int kRounds = 2000;
  DeviceArray<float> out(1024);
  for (const unsigned threads : {32u, 256u, 1024u}) {
    const Measured m =
        measure([&] { cuda::launch("barriers", {.grid = 1, .block = threads}, nullptr, barriers_kernel, kRounds); });
    std::printf("__syncthreads, %4u threads: %6.1f ns per switch\n", threads, m.seconds / m.switches * 1e9);
  }
  Measured m = measure(
      [&] { cuda::launch("shuffles", {.grid = 1, .block = 256}, nullptr, shuffles_kernel, kRounds, out.data()); });
  std::printf("__shfl_xor_sync: %.2f us per warp, %.1f ns per switch\n", m.seconds / (5 * 8 * kRounds) * 1e6,
              m.seconds / m.switches * 1e9);
  m = measure([&] { cuda::launch("mma", {.grid = 1, .block = 128}, nullptr, products_kernel, kRounds, out.data()); });
  std::printf("mma m16n8k16: %.2f million per second\n", 4 * kRounds / m.seconds * 1e-6);
  m = measure([&] {
    cuda::launch("wgmma", {.grid = 1, .block = 128, .shared_bytes = 65536}, nullptr, warpgroup_products_kernel, 200,
                 out.data());
  });
  std::printf("wgmma m64n256k16: %.1f thousand per second\n", 200 / m.seconds * 1e-3);
  constexpr std::int64_t kCount = 1 << 20;
  DeviceArray<float> x(kCount);
  m = measure(
      [&] { cuda::launch("scale", {.grid = kCount / 256, .block = 256}, nullptr, scale_kernel, kCount, x.data()); });
  std::printf("elementwise kernel: %.1f ns per thread\n", m.seconds / kCount * 1e9);
  DeviceArray<__nv_bfloat16> a(512 * 512);
  DeviceArray<float> c(512 * 512);
  for (const bool warpgroups : {false, true}) {
    const auto gemm = warpgroups ? cuda::demo_gemm_wgmma : cuda::demo_gemm_mma;
    m = measure([&] { gemm(512, 512, 512, a.data(), a.data(), c.data(), nullptr); });
    std::printf("%s, 512 x 512 x 512: %.2f s\n", warpgroups ? "demo_gemm_wgmma" : "demo_gemm_mma", m.seconds);
  }
}

}  // namespace
}  // namespace roap::simt

int main() { roap::simt::print_all(); }
