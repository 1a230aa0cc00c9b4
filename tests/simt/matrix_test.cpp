#include <cuda_bf16.h>

#include <cmath>

#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "kernels/common/shared.h"
#include "tests/simt/test_util.h"

// Fragment layouts are written out here as the PTX ISA has them ("Matrix Fragments for mma.m16n8k16", "... m16n8k8",
// "ldmatrix"), apart from the emulator's own formulas.

namespace roap::simt {
namespace {

using Matrix = SimtTest;

__device__ std::uint32_t pair(const __nv_bfloat16* x, int first, int second) {
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(x[second])) << 16 | __bfloat16_as_ushort(x[first]);
}

/// a [16][16], b [16][8] (k x n), d [16][8], all by rows.
__global__ void mma_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group_id = lane >> 2, thread_in_group = lane % 4;
  // A: "row = groupID for ai where 0 <= i < 2 || 4 <= i < 6, groupID + 8 otherwise;
  //     col = (threadID_in_group * 2) + (i & 0x1) for ai where i < 4, + 8 otherwise".
  std::uint32_t a_registers[4];
  for (int r = 0; r < 4; ++r) {
    int at[2];
    for (int half = 0; half < 2; ++half) {
      const int i = 2 * r + half;
      const int row = (i < 2 || (i >= 4 && i < 6)) ? group_id : group_id + 8;
      const int col = thread_in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
      at[half] = row * 16 + col;
    }
    a_registers[r] = pair(a, at[0], at[1]);
  }
  // B: "row = (threadID_in_group * 2) + (i & 0x1) for bi where i < 2, + 8 otherwise; col = groupID".
  std::uint32_t b_registers[2];
  for (int r = 0; r < 2; ++r) {
    const int row = thread_in_group * 2 + (r == 0 ? 0 : 8);
    b_registers[r] = pair(b, row * 8 + group_id, (row + 1) * 8 + group_id);
  }
  // C, D: "row = groupID for ci where i < 2, groupID + 8 for i >= 2; col = (threadID_in_group * 2) + (i & 0x1)".
  const auto at = [&](int i) { return (i < 2 ? group_id : group_id + 8) * 8 + thread_in_group * 2 + (i & 1); };
  float registers[4];
  for (int i = 0; i < 4; ++i) registers[i] = d[at(i)];
  ptx::mma_m16n8k16(registers, a_registers, b_registers[0], b_registers[1]);
  for (int i = 0; i < 4; ++i) d[at(i)] = registers[i];
}

TEST_F(Matrix, Bf16ProductMatchesPlainLoops) {
  const auto a = exact_numbers<__nv_bfloat16>(256, 0), b = exact_numbers<__nv_bfloat16>(128, 5);
  auto expected = exact_numbers<float>(128, 9);
  DeviceArray<__nv_bfloat16> device_a(a), device_b(b);
  DeviceArray<float> device_d(expected);
  run_block(32, mma_kernel, device_a.data(), device_b.data(), device_d.data());
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      for (int k = 0; k < 16; ++k) expected[i * 8 + j] += float{a[i * 16 + k]} * float{b[k * 8 + j]};
    }
  }
  EXPECT_EQ(device_d.values(), expected);
}

/// a [16][8], b [8][8] (k x n), d [16][8].
__global__ void mma_tf32_kernel(const float* a, const float* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group_id = lane >> 2, thread_in_group = lane % 4;
  // A: "row = groupID for a0 and a2, groupID + 8 for a1 and a3; col = threadID_in_group for a0 and a1, + 4 for a2, a3".
  const std::uint32_t a_registers[4] = {__float_as_uint(a[group_id * 8 + thread_in_group]),
                                        __float_as_uint(a[(group_id + 8) * 8 + thread_in_group]),
                                        __float_as_uint(a[group_id * 8 + thread_in_group + 4]),
                                        __float_as_uint(a[(group_id + 8) * 8 + thread_in_group + 4])};
  // B: "row = threadID_in_group for b0, threadID_in_group + 4 for b1; col = groupID".
  float registers[4] = {};
  ptx::mma_m16n8k8_tf32(registers, a_registers, __float_as_uint(b[thread_in_group * 8 + group_id]),
                        __float_as_uint(b[(thread_in_group + 4) * 8 + group_id]));
  for (int i = 0; i < 4; ++i) {
    d[(i < 2 ? group_id : group_id + 8) * 8 + thread_in_group * 2 + (i & 1)] = registers[i];
  }
}

TEST_F(Matrix, Tf32ProductMatchesPlainLoopsAndDropsLowBits) {
  auto a = exact_numbers<float>(128, 0), b = exact_numbers<float>(64, 5);
  std::vector<float> expected(128);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      for (int k = 0; k < 8; ++k) expected[i * 8 + j] += a[i * 8 + k] * b[k * 8 + j];
    }
  }
  for (float& x : a) x = std::nextafter(x, 2 * x);  // a bit that tf32 does not have
  DeviceArray<float> device_a(a), device_b(b), device_d(128);
  run_block(32, mma_tf32_kernel, device_a.data(), device_b.data(), device_d.data());
  EXPECT_EQ(device_d.values(), expected);
}

TEST_F(Matrix, RoundingToTf32IsToNearestAwayFromZero) {
  const auto rounded = [](std::uint32_t bits) { return ptx::to_tf32(__uint_as_float(bits)); };
  EXPECT_EQ(rounded(0x3f800fffu), 0x3f800000u);
  EXPECT_EQ(rounded(0x3f801000u), 0x3f802000u);  // a tie
  EXPECT_EQ(rounded(0xbf801000u), 0xbf802000u);
  EXPECT_EQ(rounded(0x3f802000u), 0x3f802000u);
  EXPECT_EQ(rounded(0x3ffff000u), 0x40000000u);
  EXPECT_EQ(rounded(0x7f800000u), 0x7f800000u);
  EXPECT_TRUE(std::isnan(__uint_as_float(rounded(0x7fffffffu))));
}

constexpr int kPitch = 24;  // 16-bit elements of a row: 48 bytes

/// Loads `count` matrices that lie one below the other in x [32][kPitch] -> registers [32][4].
__global__ void ldmatrix_kernel(int count, bool transposed, const std::uint16_t* x, std::uint32_t* registers) {
  ROAP_SHARED_ALIGNED(rows, 16, std::uint16_t[32][kPitch]);
  const unsigned lane = threadIdx.x;
  for (int i = 0; i < kPitch; ++i) rows[lane][i] = x[lane * kPitch + i];
  __syncthreads();
  const void* row = &rows[lane][8];
  std::uint32_t x1 = 0, x2[2] = {}, x4[4] = {};
  if (count == 1) transposed ? ptx::ldmatrix_x1_trans(x1, row) : ptx::ldmatrix_x1(x1, row);
  if (count == 2) transposed ? ptx::ldmatrix_x2_trans(x2, row) : ptx::ldmatrix_x2(x2, row);
  if (count == 4) transposed ? ptx::ldmatrix_x4_trans(x4, row) : ptx::ldmatrix_x4(x4, row);
  const std::uint32_t all[4] = {count == 1 ? x1 : count == 2 ? x2[0] : x4[0], count == 2 ? x2[1] : x4[1], x4[2], x4[3]};
  for (int i = 0; i < 4; ++i) registers[4 * lane + i] = all[i];
}

/// Element (row, column) of matrix i, in the row that lane 8 i + row names.
std::uint16_t element(const std::vector<std::uint16_t>& x, int matrix, int row, int column) {
  return x[(8 * matrix + row) * kPitch + 8 + column];
}

TEST_F(Matrix, LdmatrixGivesEachLaneItsPairs) {
  std::vector<std::uint16_t> x(32 * kPitch);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint16_t>(i * 257);
  DeviceArray<std::uint16_t> device_x(x);
  for (const bool transposed : {false, true}) {
    for (const int count : {1, 2, 4}) {
      DeviceArray<std::uint32_t> registers(128);
      run_block(32, ldmatrix_kernel, count, transposed, device_x.data(), registers.data());
      const auto found = registers.values();
      // "Thread 0 to 3 hold row 0, two elements each, threads 4 to 7 row 1 ..."; with .trans the matrix is transposed.
      for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < count; ++i) {
          const int row = lane / 4, column = lane % 4 * 2;
          const std::uint32_t low = transposed ? element(x, i, column, row) : element(x, i, row, column);
          const std::uint32_t high = transposed ? element(x, i, column + 1, row) : element(x, i, row, column + 1);
          EXPECT_EQ(found[4 * lane + i], high << 16 | low) << lane << " " << i << " " << transposed;
        }
      }
    }
  }
}

/// Loads and stores again elsewhere: y must equal x in the matrices that were moved, or their transposes.
__global__ void stmatrix_kernel(int count, bool transposed, const std::uint16_t* x, std::uint16_t* y) {
  ROAP_SHARED_ALIGNED(source, 16, std::uint16_t[32][8]);
  ROAP_SHARED_ALIGNED(target, 16, std::uint16_t[32][8]);
  const unsigned lane = threadIdx.x;
  for (int i = 0; i < 8; ++i) source[lane][i] = x[lane * 8 + i];
  for (int i = 0; i < 8; ++i) target[lane][i] = 0;
  __syncthreads();
  std::uint32_t r[4];
  ptx::ldmatrix_x4(r, source[lane]);
  const std::uint32_t pair[2] = {r[0], r[1]};
  void* row = target[lane];
  if (count == 1) transposed ? ptx::stmatrix_x1_trans(row, r[0]) : ptx::stmatrix_x1(row, r[0]);
  if (count == 2) transposed ? ptx::stmatrix_x2_trans(row, pair) : ptx::stmatrix_x2(row, pair);
  if (count == 4) transposed ? ptx::stmatrix_x4_trans(row, r) : ptx::stmatrix_x4(row, r);
  __syncthreads();
  for (int i = 0; i < 8; ++i) y[lane * 8 + i] = target[lane][i];
}

TEST_F(Matrix, StmatrixUndoesLdmatrix) {
  std::vector<std::uint16_t> x(256);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint16_t>(i * 251 + 1);
  DeviceArray<std::uint16_t> device_x(x), device_y(256);
  for (const bool transposed : {false, true}) {
    for (const int count : {1, 2, 4}) {
      run_block(32, stmatrix_kernel, count, transposed, device_x.data(), device_y.data());
      const auto y = device_y.values();
      for (int matrix = 0; matrix < 4; ++matrix) {
        for (int row = 0; row < 8; ++row) {
          for (int column = 0; column < 8; ++column) {
            const int from = transposed ? 8 * (8 * matrix + column) + row : 8 * (8 * matrix + row) + column;
            EXPECT_EQ(y[8 * (8 * matrix + row) + column], matrix < count ? x[from] : 0);
          }
        }
      }
    }
  }
}

// Misuse.

__global__ void few_lanes_kernel() {
  float d[4] = {};
  const std::uint32_t a[4] = {};
  if (threadIdx.x < 16) ptx::mma_m16n8k16(d, a, 0, 0);
}

TEST_F(Matrix, ProductWithoutAllLanesIsReported) {
  expect_failure(cudaErrorIllegalInstruction, {"mma_m16n8k16 needs all 32 lanes"}, 24, few_lanes_kernel);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {  // the others end before, in between or after
    set_seed(seed);
    EXPECT_THROW(run_block(32, few_lanes_kernel), DeviceError);
    EXPECT_NE(last_report().find("mma_m16n8k16"), std::string::npos) << last_report();
    reset();
  }
}

__global__ void bad_row_kernel(int place) {
  ROAP_SHARED_ALIGNED(rows, 16, float[33][4]);
  float local[4] = {};
  const void* row = place == 0   ? static_cast<const void*>(local)
                    : place == 1 ? &rows[threadIdx.x][1]
                                 : &rows[0][0] + 4 * (threadIdx.x + 2);
  std::uint32_t r[4];
  ptx::ldmatrix_x4(r, row);
}

TEST_F(Matrix, BadRowsAreReported) {
  expect_failure(cudaErrorIllegalAddress, {"ldmatrix_x4", "not in shared memory"}, 32, bad_row_kernel, 0);
  expect_failure(cudaErrorMisalignedAddress, {"ldmatrix_x4 at rows + ", "aligned to 16"}, 32, bad_row_kernel, 1);
  expect_failure(cudaErrorIllegalAddress, {"0 bytes behind the 528 bytes of rows", "thread (31, 0, 0)"}, 32,
                 bad_row_kernel, 2);
}

}  // namespace
}  // namespace roap::simt
