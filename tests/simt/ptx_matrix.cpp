#include <bit>
#include <cstring>

#include "kernels/common/convert.cuh"
#include "kernels/common/ptx/ldmatrix.h"
#include "kernels/common/ptx/mma.h"
#include "tests/simt/collective.h"

// mma.sync, ldmatrix and stmatrix. Sums are plain f32 sums in ascending k, starting from the accumulator.

namespace roap::ptx {

using simt::Caller;
using simt::Warp;

namespace {

struct MmaOperand {
  float* d;
  const std::uint32_t* a;
  std::uint32_t b[2];
};

// Places of a lane's accumulators in the 16 x 8 result.
int row_of(unsigned lane, int i) { return static_cast<int>(lane / 4) + (i >= 2 ? 8 : 0); }
int column_of(unsigned lane, int i) { return static_cast<int>(lane % 4) * 2 + i % 2; }

/// d += a b for a warp's fragments, gathered into whole matrices by `gather`.
template <int kDepth, class Gather>
void multiply(Warp& warp, Gather gather) {
  simt::KernelCounts& counts = simt::scheduler().counts();
  ++counts.mma;
  counts.multiplies += 16 * 8 * kDepth;
  float a[16][kDepth], b[kDepth][8], d[16][8];
  for (unsigned lane = 0; lane < simt::kLanes; ++lane) {
    const auto& mine = warp.operand<MmaOperand>(lane);
    gather(mine, static_cast<int>(lane / 4), static_cast<int>(lane % 4), a, b);
    for (int i = 0; i < 4; ++i) d[row_of(lane, i)][column_of(lane, i)] = mine.d[i];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (unsigned lane = 0; lane < simt::kLanes; ++lane) {
    const auto& mine = warp.operand<MmaOperand>(lane);
    for (int i = 0; i < 4; ++i) mine.d[i] = d[row_of(lane, i)][column_of(lane, i)];
  }
}

void complete_bf16(Warp& warp, std::uint32_t) {
  multiply<16>(warp, [](const MmaOperand& mine, int group, int t, float(&a)[16][16], float(&b)[16][8]) {
    for (int i = 0; i < 4; ++i) {
      const float2 pair = cuda::unpack_bf16(mine.a[i]);
      const int row = group + i % 2 * 8, k = 2 * t + i / 2 * 8;
      a[row][k] = pair.x;
      a[row][k + 1] = pair.y;
    }
    for (int i = 0; i < 2; ++i) {
      const float2 pair = cuda::unpack_bf16(mine.b[i]);
      b[2 * t + 8 * i][group] = pair.x;
      b[2 * t + 8 * i + 1][group] = pair.y;
    }
  });
}

float tf32(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

void complete_tf32(Warp& warp, std::uint32_t) {
  multiply<8>(warp, [](const MmaOperand& mine, int group, int t, float(&a)[16][8], float(&b)[8][8]) {
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][t + i / 2 * 4] = tf32(mine.a[i]);
    for (int i = 0; i < 2; ++i) b[t + 4 * i][group] = tf32(mine.b[i]);
  });
}

/// Rows that the lanes name, registers of the lane, and which of both there are.
struct MatrixOperand {
  std::byte* row;
  std::uint32_t* registers;
  unsigned count;
  bool transposed;
};

/// Calls move(half, element) with each 16-bit half of each lane's registers and its place in shared memory.
template <class Move>
void for_elements(Warp& warp, Move move) {
  for (unsigned lane = 0; lane < simt::kLanes; ++lane) {
    const auto& mine = warp.operand<MatrixOperand>(lane);
    for (unsigned matrix = 0; matrix < mine.count; ++matrix) {
      for (unsigned half = 0; half < 2; ++half) {
        unsigned row = lane / 4, column = lane % 4 * 2 + half;
        if (mine.transposed) std::swap(row, column);
        std::byte* element = warp.operand<MatrixOperand>(8 * matrix + row).row + 2 * column;
        move(reinterpret_cast<std::byte*>(&mine.registers[matrix]) + 2 * half, element);
      }
    }
  }
}

void complete_load(Warp& warp, std::uint32_t) {
  for_elements(warp, [](std::byte* half, const std::byte* element) { std::memcpy(half, element, 2); });
}
void complete_store(Warp& warp, std::uint32_t) {
  for_elements(warp, [](const std::byte* half, std::byte* element) { std::memcpy(element, half, 2); });
}

void move_matrices(const char* operation, std::uint32_t* registers, unsigned count, bool transposed, const void* row,
                   void (*complete)(Warp&, std::uint32_t), const Caller& caller) {
  MatrixOperand mine{nullptr, registers, count, transposed};
  if (simt::scheduler().current().lane < 8 * count) {
    mine.row = simt::checked_shared(row, 16, 16, operation, caller);
  }
  simt::whole_warp(operation, &mine, complete, caller);
}

void load(const char* operation, std::uint32_t* registers, unsigned count, bool transposed, const void* row,
          const Caller& caller) {
  move_matrices(operation, registers, count, transposed, row, complete_load, caller);
}
void store(const char* operation, const std::uint32_t* registers, unsigned count, bool transposed, void* row,
           const Caller& caller) {
  move_matrices(operation, const_cast<std::uint32_t*>(registers), count, transposed, row, complete_store, caller);
}

}  // namespace

void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, Caller caller) {
  MmaOperand mine{d, a, {b0, b1}};
  simt::whole_warp("mma_m16n8k16", &mine, complete_bf16, caller);
}
void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, Caller caller) {
  MmaOperand mine{d, a, {b0, b1}};
  simt::whole_warp("mma_m16n8k8_tf32", &mine, complete_tf32, caller);
}
std::uint32_t to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  constexpr std::uint32_t kExponent = 0x7f800000;
  if ((bits & kExponent) == kExponent) return bits;  // infinity and NaN
  return (bits + 0x1000) & 0xffffe000u;              // ties away from zero: half of the last place that is kept
}

void ldmatrix_x1(std::uint32_t& r, const void* row, Caller caller) { load("ldmatrix_x1", &r, 1, false, row, caller); }
void ldmatrix_x2(std::uint32_t (&r)[2], const void* row, Caller caller) {
  load("ldmatrix_x2", r, 2, false, row, caller);
}
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, Caller caller) {
  load("ldmatrix_x4", r, 4, false, row, caller);
}
void ldmatrix_x1_trans(std::uint32_t& r, const void* row, Caller caller) {
  load("ldmatrix_x1_trans", &r, 1, true, row, caller);
}
void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row, Caller caller) {
  load("ldmatrix_x2_trans", r, 2, true, row, caller);
}
void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row, Caller caller) {
  load("ldmatrix_x4_trans", r, 4, true, row, caller);
}
void stmatrix_x1(void* row, std::uint32_t r, Caller caller) { store("stmatrix_x1", &r, 1, false, row, caller); }
void stmatrix_x2(void* row, const std::uint32_t (&r)[2], Caller caller) {
  store("stmatrix_x2", r, 2, false, row, caller);
}
void stmatrix_x4(void* row, const std::uint32_t (&r)[4], Caller caller) {
  store("stmatrix_x4", r, 4, false, row, caller);
}
void stmatrix_x1_trans(void* row, std::uint32_t r, Caller caller) {
  store("stmatrix_x1_trans", &r, 1, true, row, caller);
}
void stmatrix_x2_trans(void* row, const std::uint32_t (&r)[2], Caller caller) {
  store("stmatrix_x2_trans", r, 2, true, row, caller);
}
void stmatrix_x4_trans(void* row, const std::uint32_t (&r)[4], Caller caller) {
  store("stmatrix_x4_trans", r, 4, true, row, caller);
}

}  // namespace roap::ptx
