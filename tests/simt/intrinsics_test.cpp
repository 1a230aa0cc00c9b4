#include <cuda_bf16.h>

#include <cmath>
#include <limits>

#include "kernels/common/vector_access.cuh"
#include "tests/simt/test_util.h"

namespace roap::simt {
namespace {

using Intrinsics = SimtTest;

// Bits.

TEST_F(Intrinsics, BitOperations) {
  EXPECT_EQ(__popc(0xf0f00001u), 9);
  EXPECT_EQ(__popcll(0xffull << 40), 8);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1ll << 40), 41);
  EXPECT_EQ(__brev(1u), 0x80000000u);
  EXPECT_EQ(__brev(0x12345678u), 0x1e6a2c48u);
  EXPECT_EQ(__brevll(1ull), 1ull << 63);
  EXPECT_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x7410u), 0x77441100u);
  EXPECT_EQ(__byte_perm(0x000000ffu, 0, 0x8880u), 0xffffffffu);  // bit 3 spreads the sign
  EXPECT_EQ(__umulhi(0x80000000u, 6u), 3u);
  EXPECT_EQ(__mulhi(-2, 1), -1);
  EXPECT_EQ(__umul64hi(0xffffffffffffffffull, 0xffffffffffffffffull), 0xfffffffffffffffeull);
  EXPECT_EQ(__umul64hi(0x123456789abcdefull, 0xfedcba987654321ull), 0x121fa00ad77d74ull);
  EXPECT_EQ(__funnelshift_l(0x80000001u, 0x1u, 4), 0x18u);
  EXPECT_EQ(__funnelshift_r(0x80000010u, 0x3u, 4), 0x38000001u);
}

TEST_F(Intrinsics, Conversions) {
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(__float2int_rz(-2.7f), -2);
  EXPECT_EQ(__float2int_rd(-2.2f), -3);
  EXPECT_EQ(__float2int_ru(2.2f), 3);
  EXPECT_EQ(__float2int_rn(1e20f), std::numeric_limits<int>::max());
  EXPECT_EQ(__float2int_rn(NAN), 0);
  EXPECT_EQ(__float2uint_rn(-5.0f), 0u);
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
  EXPECT_EQ(__int_as_float(0x40000000), 2.0f);
}

TEST_F(Intrinsics, MathFunctions) {
  EXPECT_EQ(__saturatef(-1.0f), 0.0f);
  EXPECT_EQ(__saturatef(2.0f), 1.0f);
  EXPECT_EQ(__saturatef(NAN), 0.0f);
  EXPECT_EQ(rsqrtf(4.0f), 0.5f);
  EXPECT_EQ(__frsqrt_rn(16.0f), 0.25f);
  EXPECT_EQ(__fdividef(1.0f, 4.0f), 0.25f);
  EXPECT_EQ(__fmaf_rn(1e8f, 1e8f, -1e16f), std::fma(1e8f, 1e8f, -1e16f));
  EXPECT_EQ(max(3, 4u), 4u);
  EXPECT_EQ(min(3.0f, NAN), 3.0f);
  EXPECT_EQ(max(2, 3L), 3L);
}

// bf16.

TEST_F(Intrinsics, Bf16RoundsToNearestEven) {
  const auto bits = [](std::uint32_t x) { return __bfloat16_as_ushort(__float2bfloat16_rn(__uint_as_float(x))); };
  EXPECT_EQ(bits(0x3f800000u), 0x3f80);
  EXPECT_EQ(bits(0x3f808000u), 0x3f80);  // a tie goes to the even one,
  EXPECT_EQ(bits(0x3f818000u), 0x3f82);  // upwards here
  EXPECT_EQ(bits(0x3f808001u), 0x3f81);
  EXPECT_EQ(bits(0x3f807fffu), 0x3f80);
  EXPECT_EQ(bits(0x7f7fffffu), 0x7f80);  // beyond the largest: infinity
  EXPECT_EQ(bits(0xff800000u), 0xff80);
  EXPECT_EQ(bits(0x80000000u), 0x8000);
  EXPECT_EQ(bits(0x00000001u), 0x0000);
  EXPECT_EQ(bits(0x7f800001u), 0x7fff);  // NaN, never infinity
}

TEST_F(Intrinsics, Bf16ArithmeticRoundsOnce) {
  const __nv_bfloat16 one(1.0f), small(0.00390625f);  // half of the last place of 1
  EXPECT_EQ(float{one + small}, 1.0f);
  EXPECT_EQ(float{one * small}, 0.00390625f);
  EXPECT_EQ(float{-one}, -1.0f);
  EXPECT_TRUE(small < one);
  EXPECT_EQ(float{__hfma(small, one, one)}, 1.0f);
  EXPECT_EQ(float{__hmax(small, one)}, 1.0f);
  const __nv_bfloat162 pair = __floats2bfloat162_rn(1.0f, 2.0f);
  EXPECT_EQ(__low2float(pair), 1.0f);
  EXPECT_EQ(__high2float(pair), 2.0f);
  EXPECT_EQ(float{__hmul2(pair, pair).y}, 4.0f);
  EXPECT_EQ(cuda::pack_bf16(1.0f, 2.0f), 0x40003f80u);
  EXPECT_EQ(cuda::unpack_bf16(0x40003f80u).y, 2.0f);
}

// Atomics.

__global__ void atomics_kernel(int* ints, unsigned* words, unsigned long long* wide) {
  const int i = static_cast<int>(threadIdx.x);
  const auto u = static_cast<unsigned>(i);
  atomicAdd(&ints[0], i);
  atomicSub(&ints[1], i);
  atomicMin(&ints[2], -i);
  atomicMax(&ints[3], i);
  atomicOr(&words[0], 1u << i % 32);
  atomicAnd(&words[1], ~(1u << i % 7));
  atomicXor(&words[2], u);
  atomicInc(&words[3], 9u);
  atomicAdd(&wide[0], 1ull << 33);
  atomicMax(&wide[1], static_cast<unsigned long long>(i));
  int expected = ints[4];
  while (true) {  // another way to add
    const int found = atomicCAS(&ints[4], expected, expected + 1);
    if (found == expected) break;
    expected = found;
  }
  if (atomicExch(&ints[5], 1) == 0) atomicAdd(&ints[6], 1);
}

TEST_F(Intrinsics, AtomicsLoseNothing) {
  DeviceArray<int> ints(std::vector<int>(7, 0));
  DeviceArray<unsigned> words(std::vector<unsigned>{0, 0xffffffffu, 0, 0});
  DeviceArray<unsigned long long> wide(std::vector<unsigned long long>{0, 0});
  run_block(100, atomics_kernel, ints.data(), words.data(), wide.data());
  EXPECT_EQ(ints.values(), (std::vector<int>{4950, -4950, -99, 99, 100, 1, 1}));
  EXPECT_EQ(words.values(), (std::vector<unsigned>{0xffffffffu, 0xffffff80u, 0, 0}));
  EXPECT_EQ(wide.values(), (std::vector<unsigned long long>{100ull << 33, 99}));
}

// Built-in variables and access by vectors.

__global__ void indices_kernel(std::uint64_t* count) {
  const bool right = threadIdx.x < blockDim.x && threadIdx.y < blockDim.y && threadIdx.z < blockDim.z &&
                     blockIdx.x < gridDim.x && blockIdx.y < gridDim.y && blockIdx.z < gridDim.z && warpSize == 32;
  const std::uint64_t block = (std::uint64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  count[block * blockDim.x * blockDim.y * blockDim.z + thread] = right ? 1 : 0;
}

TEST_F(Intrinsics, EveryThreadOfEveryBlockRunsOnce) {
  for (const auto& [grid, block] : {std::pair{dim3(1), dim3(1)}, std::pair{dim3(7, 3, 2), dim3(5, 4, 3)},
                                    std::pair{dim3(1, 11), dim3(1, 2, 33)}, std::pair{dim3(129), dim3(1024)}}) {
    const std::size_t count = std::size_t{grid.x} * grid.y * grid.z * block.x * block.y * block.z;
    DeviceArray<std::uint64_t> counts(count);
    cuda::launch("indices", {.grid = grid, .block = block}, nullptr, indices_kernel, counts.data());
    EXPECT_EQ(counts.values(), std::vector<std::uint64_t>(count, 1));
  }
}

template <class T>
__global__ void vectors_kernel(const T* x, T* y, int count, bool aligned) {
  constexpr int kSize = cuda::kVectorSize<T>;
  for (int i = 0; i < count; i += kSize) {
    float values[kSize];
    to_floats(aligned ? (i == 0 ? cuda::load_vector(x) : cuda::load_vector_readonly(x + i))
                      : cuda::load_scalars(x + i, count - i),
              values);
    for (float& v : values) v = 2.0f * v;
    if (aligned) {
      cuda::store_vector(y + i, cuda::from_floats<T>(values));
    } else {
      cuda::store_scalars(y + i, cuda::from_floats<T>(values), count - i);
    }
  }
}

template <class T>
void check_vectors() {
  for (const auto& [count, first] : {std::pair{16, 0}, std::pair{16, 1}, std::pair{13, 0}, std::pair{1, 3}}) {
    std::vector<T> x(20);
    for (int i = 0; i < 20; ++i) x[i] = static_cast<float>(i);
    DeviceArray<T> device_x(x), device_y(x);
    const bool aligned = cuda::can_use_vectors(count, device_x.data() + first, device_y.data() + first);
    EXPECT_EQ(aligned, count == 16 && first == 0);
    cuda::launch("vectors", {.grid = 1, .block = 1}, nullptr, vectors_kernel<T>, device_x.data() + first,
                 device_y.data() + first, count, aligned);
    const auto y = device_y.values();
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(cuda::to_float(y[i]), static_cast<float>(i >= first && i < first + count ? 2 * i : i));
    }
  }
}

TEST_F(Intrinsics, VectorsOfBothTypes) {
  check_vectors<float>();
  check_vectors<__nv_bfloat16>();
}

}  // namespace
}  // namespace roap::simt
