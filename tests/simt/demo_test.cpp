#include "tests/simt/demo/demo.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/convert.cuh"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Demo = SimtTest;

template <class T>
void check_transpose(int rows, int columns) {
  const auto x = exact_numbers<T>(rows * columns, 1);
  DeviceArray<T> device_x(x), device_y(x.size());
  cuda::demo_transpose(rows, columns, device_x.data(), device_y.data(), nullptr);
  const auto y = device_y.values();
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      ASSERT_EQ(cuda::to_float(y[c * rows + r]), cuda::to_float(x[r * columns + c])) << r << " " << c;
    }
  }
}

TEST_F(Demo, Transpose) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, std::pair{31, 33}, std::pair{64, 7}, std::pair{97, 130}}) {
    check_transpose<float>(rows, columns);
    check_transpose<__nv_bfloat16>(rows, columns);
  }
}

using Gemm = void (*)(int, int, int, const __nv_bfloat16*, const __nv_bfloat16*, float*, cudaStream_t);

void check_gemm(Gemm gemm, int m, int n, int k) {
  const auto a = exact_numbers<__nv_bfloat16>(m * k, 2), b = exact_numbers<__nv_bfloat16>(n * k, 7);
  DeviceArray<__nv_bfloat16> device_a(a), device_b(b);
  DeviceArray<float> device_c(static_cast<std::size_t>(m) * n);
  gemm(m, n, k, device_a.data(), device_b.data(), device_c.data(), nullptr);
  const auto c = device_c.values();
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      float sum = 0.0f;
      for (int l = 0; l < k; ++l) sum += float{a[i * k + l]} * float{b[j * k + l]};
      ASSERT_EQ(c[static_cast<std::size_t>(i) * n + j], sum) << i << " " << j;
    }
  }
}

TEST_F(Demo, GemmWithWarpProducts) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    set_seed(seed);
    check_gemm(cuda::demo_gemm_mma, 1, 1, 8);
    check_gemm(cuda::demo_gemm_mma, 64, 64, 64);
    check_gemm(cuda::demo_gemm_mma, 63, 65, 72);
    check_gemm(cuda::demo_gemm_mma, 131, 67, 200);
  }
}

TEST_F(Demo, GemmWithWarpgroupProductsAndCluster) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    set_seed(seed);
    check_gemm(cuda::demo_gemm_wgmma, 1, 1, 8);
    check_gemm(cuda::demo_gemm_wgmma, 256, 128, 64);
    check_gemm(cuda::demo_gemm_wgmma, 131, 257, 520);
  }
}

}  // namespace
}  // namespace roap::simt
