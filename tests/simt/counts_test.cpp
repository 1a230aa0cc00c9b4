#include "tests/simt/counts.h"

#include "tests/simt/counted/counted.h"
#include "tests/simt/demo/demo.h"
#include "tests/simt/sanitizer.h"
#include "tests/simt/test_util.h"

// What the emulator counts of a kernel, against what the kernel is known to do.

namespace roap::simt {
namespace {

class Counts : public SimtTest {
 protected:
  void SetUp() override { reset_kernel_counts(); }

  /// Of the only kernel that ran.
  static KernelCounts only(const std::string& name) {
    EXPECT_EQ(kernel_counts().size(), 1u);
    const auto& [id, counts] = *kernel_counts().begin();
    EXPECT_EQ(id.first, name);
    return counts;
  }
};

void add(int count, bool vectors) {
  const DeviceArray<float> x(static_cast<std::size_t>(count)), y(static_cast<std::size_t>(count));
  const DeviceArray<float> table(exact_numbers<float>(cuda::kCountedTable, 0));
  cuda::counted_add(count, vectors, x.data(), table.data(), y.data(), nullptr);
}

TEST_F(Counts, LaunchesBlocksThreadsBarriersAndCopies) {
  add(260, false);
  add(40, false);
  const KernelCounts c = only("counted_add");
  EXPECT_EQ(c.launches, 2u);
  EXPECT_EQ(c.blocks, 5u + 1);
  EXPECT_EQ(c.threads, 64u * 6);
  EXPECT_EQ(c.block_threads, 64u);
  EXPECT_EQ(c.barriers, 6u);
  EXPECT_EQ(c.copied_bytes, 6u * 64 * 4);
  EXPECT_EQ(c.shared_bytes, 64u * 4);
  EXPECT_EQ(c.mma + c.wgmma + c.multiplies, 0u);
}

// The compiler marks the accesses of the kernels in counted/; not together with AddressSanitizer's own marks.
TEST_F(Counts, LoadsAndStoresOfDeviceMemoryOnly) {
  if (kSanitized) GTEST_SKIP() << "accesses are not counted under a sanitizer";
  for (const bool vectors : {false, true}) {
    reset_kernel_counts();
    add(260, vectors);
    const KernelCounts c = only("counted_add");
    EXPECT_EQ(c.loaded_bytes, 260u * 4) << vectors;
    EXPECT_EQ(c.stored_bytes, 260u * 4) << vectors;
  }
}

TEST_F(Counts, FormsOfATemplateAreKeptApart) {
  add(4, false);
  add(4, true);
  EXPECT_EQ(kernel_counts().size(), 2u);
}

using Gemm = void (*)(int, int, int, const __nv_bfloat16*, const __nv_bfloat16*, float*, cudaStream_t);

void multiply(Gemm gemm, int m, int n, int k) {
  const DeviceArray<__nv_bfloat16> a(exact_numbers<__nv_bfloat16>(m * k, 2)), b(exact_numbers<__nv_bfloat16>(n * k, 7));
  const DeviceArray<float> c(static_cast<std::size_t>(m) * n);
  gemm(m, n, k, a.data(), b.data(), c.data(), nullptr);
}

// Tiles of 64 x 64 x 32; what lies outside of the matrices is multiplied, but not read.
TEST_F(Counts, ProductsOfWarps) {
  multiply(cuda::demo_gemm_mma, 65, 64, 40);
  const KernelCounts c = only("demo_gemm_mma");
  EXPECT_EQ(c.multiplies, 128u * 64 * 64);
  EXPECT_EQ(c.mma, c.multiplies / (16 * 8 * 16));
  EXPECT_EQ(c.wgmma, 0u);
  EXPECT_EQ(c.copied_bytes, (65u * 40 + 2 * 64 * 40) * 2);
}

// Clusters of 256 x 128, depth 64: each block copies its own rows of a and half of b for both.
TEST_F(Counts, ProductsOfWarpgroups) {
  multiply(cuda::demo_gemm_wgmma, 200, 128, 72);
  const KernelCounts c = only("demo_gemm_wgmma");
  EXPECT_EQ(c.multiplies, 256u * 128 * 128);
  EXPECT_EQ(c.wgmma, c.multiplies / (64 * 128 * 16));
  EXPECT_EQ(c.mma, 0u);
  EXPECT_EQ(c.copied_bytes, (200u * 72 + 128 * 72) * 2);
}

}  // namespace
}  // namespace roap::simt
