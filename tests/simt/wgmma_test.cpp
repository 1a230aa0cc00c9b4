#include "kernels/common/ptx/wgmma.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>

#include "kernels/common/convert.cuh"
#include "kernels/common/ptx/fence.h"
#include "kernels/common/ptx/setmaxnreg.h"
#include "kernels/common/shared.h"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Wgmma = SimtTest;

constexpr int kDepth = 64;  // one tile: rows of 128 bytes

/// What a kernel does wrong.
enum class Bug { none, no_wait, no_fence, no_proxy_fence, overwrite, few_threads, descriptors, no_commit };

template <int kRegisters>
__device__ void product(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b, bool accumulate) {
  if constexpr (kRegisters == 32) ptx::wgmma_m64n64k16(d, a, b, accumulate);
  if constexpr (kRegisters == 64) ptx::wgmma_m64n128k16(d, a, b, accumulate);
  if constexpr (kRegisters == 128) ptx::wgmma_m64n256k16(d, a, b, accumulate);
}
template <int kRegisters>
__device__ void product(float (&d)[kRegisters], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate) {
  if constexpr (kRegisters == 32) ptx::wgmma_m64n64k16(d, a, b, accumulate);
  if constexpr (kRegisters == 64) ptx::wgmma_m64n128k16(d, a, b, accumulate);
  if constexpr (kRegisters == 128) ptx::wgmma_m64n256k16(d, a, b, accumulate);
}

/// Stores x [rows][64] with the 128-byte swizzle as the PTX ISA draws it: 16-byte piece p of row r at piece p ^ (r %
/// 8).
__device__ void store_swizzled(__nv_bfloat16* tile, const __nv_bfloat16* x, int rows) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * kDepth; i += 128) {
    const int row = i / kDepth, column = i % kDepth;
    tile[row * kDepth + ((column / 8) ^ (row % 8)) * 8 + column % 8] = x[i];
  }
}

/// The registers of A [64][16] from column k on: "Register fragments for wgmma.m64k16", 16 rows a warp.
__device__ void load_a(std::uint32_t (&a)[4], const __nv_bfloat16* x, int k) {
  const int thread = static_cast<int>(threadIdx.x) % 128, row = thread / 32 * 16 + thread % 32 / 4;
  const auto pair = [&](int r, int c) {
    return cuda::pack_bf16(cuda::to_float(x[r * kDepth + c]), cuda::to_float(x[r * kDepth + c + 1]));
  };
  const int column = k + thread % 4 * 2;
  a[0] = pair(row, column);
  a[1] = pair(row + 8, column);
  a[2] = pair(row, column + 8);
  a[3] = pair(row + 8, column + 8);
}

/// "Accumulator D fragment": rows of warp w from 16 w on, pairs of columns every 8.
template <int kColumns>
__device__ void store_sums(const float (&d)[kColumns / 2], float* out) {
  const int thread = static_cast<int>(threadIdx.x), row = thread / 32 * 16 + thread % 32 / 4;
  for (int j = 0; j < kColumns / 8; ++j) {
    for (int i = 0; i < 4; ++i) {
      out[(row + (i < 2 ? 0 : 8)) * kColumns + 8 * j + thread % 4 * 2 + (i & 1)] = d[4 * j + i];
    }
  }
}

/// d [64][N] = a [64][64] b [N][64]' twice over, so that the first product and accumulation are both used.
template <int kColumns>
__global__ void wgmma_kernel(bool a_in_registers, Bug bug, const __nv_bfloat16* a, const __nv_bfloat16* b, float* out) {
  auto* tile_a = cuda::dynamic_shared<__nv_bfloat16>();
  auto* tile_b = tile_a + 64 * kDepth;
  store_swizzled(tile_a, a, 64);
  store_swizzled(tile_b, b, kColumns);
  if (bug != Bug::no_proxy_fence) ptx::fence_proxy_async();
  __syncthreads();
  if (bug == Bug::few_threads && threadIdx.x >= 96) return;
  float d[kColumns / 2];
  if (bug != Bug::no_fence) ptx::wgmma_fence();
  for (int k = 0; k < 2 * kDepth; k += 16) {
    const int slice = k % kDepth + (bug == Bug::descriptors && threadIdx.x == 77 ? 16 : 0);
    const std::uint64_t descriptor_b = ptx::wgmma_descriptor(tile_b + slice);
    if (a_in_registers) {
      std::uint32_t registers[4];
      load_a(registers, a, k % kDepth);
      product(d, registers, descriptor_b, k > 0);
    } else {
      product(d, ptx::wgmma_descriptor(tile_a + slice), descriptor_b, k > 0);
    }
  }
  if (bug != Bug::no_commit) ptx::wgmma_commit_group();
  if (bug == Bug::overwrite) tile_b[threadIdx.x] = 0.0f;
  if (bug == Bug::overwrite) ptx::fence_proxy_async();
  if (bug != Bug::no_wait) ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(d);
  store_sums<kColumns>(d, out);
  if (bug == Bug::no_wait) ptx::wgmma_wait_group<0>();
}

/// d [64][N] = a [64][64] b [N][64]', b without a swizzle: pieces of 8 columns, [N][8] each, some bytes apart.
template <int kColumns>
__global__ void wgmma_pieces_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, float* out) {
  constexpr int kPiece = kColumns * 8 + 64;
  auto* pieces = cuda::dynamic_shared<__nv_bfloat16>();
  for (int i = static_cast<int>(threadIdx.x); i < kColumns * kDepth; i += 128) {
    const int row = i / kDepth, column = i % kDepth;
    pieces[column / 8 * kPiece + row * 8 + column % 8] = b[i];
  }
  ptx::fence_proxy_async();
  __syncthreads();
  float d[kColumns / 2];
  ptx::wgmma_fence();
  for (int k = 0; k < kDepth; k += 16) {
    std::uint32_t registers[4];
    load_a(registers, a, k);
    product(d, registers, ptx::wgmma_descriptor_of_pieces(pieces + k / 8 * kPiece, 2 * kPiece), k > 0);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(d);
  store_sums<kColumns>(d, out);
}

/// Stores x [64][columns] as tiles of 64 columns, swizzled, `tile_bytes` apart.
__device__ void store_tiles(__nv_bfloat16* tiles, const __nv_bfloat16* x, int columns, int tile_bytes) {
  for (int i = static_cast<int>(threadIdx.x); i < kDepth * columns; i += 128) {
    const int row = i / columns, column = i % columns, piece = column % 64 / 8;
    tiles[column / 64 * (tile_bytes / 2) + row * 64 + (piece ^ (row % 8)) * 8 + column % 8] = x[i];
  }
}

template <int kRegisters>
__device__ void product_mn(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b, bool accumulate) {
  if constexpr (kRegisters == 32) ptx::wgmma_m64n64k16_mn(d, a, b, accumulate);
  if constexpr (kRegisters == 64) ptx::wgmma_m64n128k16_mn(d, a, b, accumulate);
  if constexpr (kRegisters == 128) ptx::wgmma_m64n256k16_mn(d, a, b, accumulate);
}

constexpr int kTileBytes = kDepth * 128 + 1024;  // of an MN-major operand, and a gap

/// d [64][N] = a' b, a [64][64] and b [64][N], whose rows are along k.
template <int kColumns>
__global__ void wgmma_mn_kernel(int shift, const __nv_bfloat16* a, const __nv_bfloat16* b, float* out) {
  auto* tile_a = cuda::dynamic_shared<__nv_bfloat16>();
  auto* tiles_b = cuda::dynamic_shared<__nv_bfloat16>(kTileBytes);
  store_tiles(tile_a, a, 64, kTileBytes);
  store_tiles(tiles_b, b, kColumns, kTileBytes);
  ptx::fence_proxy_async();
  __syncthreads();
  float d[kColumns / 2];
  ptx::wgmma_fence();
  for (int k = 0; k < kDepth; k += 16) {
    product_mn(d, ptx::wgmma_descriptor_mn(tile_a + k * 64 + shift, kTileBytes),
               ptx::wgmma_descriptor_mn(tiles_b + k * 64, kTileBytes), k > 0);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  ptx::wgmma_keep(d);
  store_sums<kColumns>(d, out);
}

template <int kColumns>
cuda::LaunchShape shape() {
  return {.grid = 1, .block = 128, .shared_bytes = (64 + kColumns) * kDepth * 2};
}

template <int kColumns>
std::vector<float> run(bool a_in_registers, Bug bug, const std::vector<__nv_bfloat16>& a,
                       const std::vector<__nv_bfloat16>& b) {
  DeviceArray<__nv_bfloat16> device_a(a), device_b(b);
  DeviceArray<float> out(64 * kColumns);
  cuda::launch("wgmma", shape<kColumns>(), nullptr, wgmma_kernel<kColumns>, a_in_registers, bug, device_a.data(),
               device_b.data(), out.data());
  return out.values();
}

template <int kColumns>
void check_product() {
  const auto a = exact_numbers<__nv_bfloat16>(64 * kDepth, 3), b = exact_numbers<__nv_bfloat16>(kColumns * kDepth, 8);
  std::vector<float> expected(64 * kColumns);
  for (int i = 0; i < 64; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      for (int k = 0; k < kDepth; ++k) {
        expected[i * kColumns + j] += 2.0f * float{a[i * kDepth + k]} * float{b[j * kDepth + k]};
      }
    }
  }
  EXPECT_EQ(run<kColumns>(false, Bug::none, a, b), expected) << kColumns;
  EXPECT_EQ(run<kColumns>(true, Bug::none, a, b), expected) << kColumns;
}

TEST_F(Wgmma, ProductsMatchPlainLoops) {
  check_product<64>();
  check_product<128>();
  check_product<256>();
}

template <int kColumns>
void check_product_of_pieces() {
  const auto a = exact_numbers<__nv_bfloat16>(64 * kDepth, 3), b = exact_numbers<__nv_bfloat16>(kColumns * kDepth, 8);
  std::vector<float> expected(64 * kColumns);
  for (int i = 0; i < 64; ++i) {
    for (int j = 0; j < kColumns; ++j) {
      for (int k = 0; k < kDepth; ++k) {
        expected[i * kColumns + j] += float{a[i * kDepth + k]} * float{b[j * kDepth + k]};
      }
    }
  }
  DeviceArray<__nv_bfloat16> device_a(a), device_b(b);
  DeviceArray<float> out(64 * kColumns);
  cuda::launch("wgmma_pieces", {.grid = 1, .block = 128, .shared_bytes = (kColumns + 8) * kDepth * 2}, nullptr,
               wgmma_pieces_kernel<kColumns>, device_a.data(), device_b.data(), out.data());
  EXPECT_EQ(out.values(), expected) << kColumns;
}

TEST_F(Wgmma, ProductsWithoutSwizzleMatchPlainLoops) {
  check_product_of_pieces<64>();
  check_product_of_pieces<256>();
}

template <int kColumns>
std::vector<float> run_mn(int shift, const std::vector<__nv_bfloat16>& a, const std::vector<__nv_bfloat16>& b) {
  DeviceArray<__nv_bfloat16> device_a(a), device_b(b);
  DeviceArray<float> out(64 * kColumns);
  cuda::launch("wgmma_mn", {.grid = 1, .block = 128, .shared_bytes = (1 + kColumns / 64) * kTileBytes}, nullptr,
               wgmma_mn_kernel<kColumns>, shift, device_a.data(), device_b.data(), out.data());
  return out.values();
}

template <int kColumns>
void check_product_mn() {
  const auto a = exact_numbers<__nv_bfloat16>(64 * kDepth, 3), b = exact_numbers<__nv_bfloat16>(kColumns * kDepth, 8);
  std::vector<float> expected(64 * kColumns);
  for (int k = 0; k < kDepth; ++k) {
    for (int i = 0; i < 64; ++i) {
      for (int j = 0; j < kColumns; ++j) {
        expected[i * kColumns + j] += float{a[k * 64 + i]} * float{b[k * kColumns + j]};
      }
    }
  }
  EXPECT_EQ(run_mn<kColumns>(0, a, b), expected) << kColumns;
}

TEST_F(Wgmma, ProductsOfMnMajorOperandsMatchPlainLoops) {
  check_product_mn<64>();
  check_product_mn<128>();
  check_product_mn<256>();
}

TEST_F(Wgmma, MnMajorRowsBeginAtAMultipleOfEight) {
  EXPECT_THROW(
      run_mn<64>(64, exact_numbers<__nv_bfloat16>(64 * kDepth, 3), exact_numbers<__nv_bfloat16>(64 * kDepth, 8)),
      DeviceError);
  EXPECT_NE(last_report().find("in the middle of eight"), std::string::npos) << last_report();
  reset();
}

TEST_F(Wgmma, MissingWaitShowsAsPoison) {
  const auto d = run<64>(false, Bug::no_wait, exact_numbers<__nv_bfloat16>(64 * kDepth, 3),
                         exact_numbers<__nv_bfloat16>(64 * kDepth, 8));
  EXPECT_TRUE(std::all_of(d.begin(), d.end(), [](float x) { return std::isnan(x); }));
}

TEST_F(Wgmma, OperandsAreReadNoEarlierThanTheWait) {
  const auto a = exact_numbers<__nv_bfloat16>(64 * kDepth, 3), b = exact_numbers<__nv_bfloat16>(64 * kDepth, 8);
  EXPECT_NE(run<64>(false, Bug::overwrite, a, b), run<64>(false, Bug::none, a, b));
}

void expect_report(Bug bug, const std::string& part) {
  EXPECT_THROW(
      run<64>(false, bug, exact_numbers<__nv_bfloat16>(64 * kDepth, 3), exact_numbers<__nv_bfloat16>(64 * kDepth, 8)),
      DeviceError);
  EXPECT_NE(last_report().find(part), std::string::npos) << last_report();
  reset();
}

TEST_F(Wgmma, MisuseIsReported) {
  expect_report(Bug::no_fence, "without wgmma_fence");
  expect_report(Bug::no_proxy_fence, "without fence_proxy_async");
  expect_report(Bug::descriptors, "different descriptors");
  expect_report(Bug::few_threads, "wgmma");
  expect_report(Bug::no_commit, "ended before");
}

__global__ void registers_kernel() {
  if (threadIdx.x < 128) {
    ptx::setmaxnreg_increase<240>();
  } else {
    ptx::setmaxnreg_decrease<24>();
  }
}

TEST_F(Wgmma, SetmaxnregNeedsWholeWarpgroups) {
  run_block(256, registers_kernel);
  expect_failure(cudaErrorIllegalInstruction, {"setmaxnreg needs all 128 threads"}, 160, registers_kernel);
}

}  // namespace
}  // namespace roap::simt
