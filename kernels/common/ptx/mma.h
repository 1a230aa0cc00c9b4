#pragma once

#include "kernels/common/device_code.h"

// Matrix products of a warp on tensor cores: mma.sync (sm_80). All 32 lanes call together. With g = lane / 4 and
// t = lane % 4, a lane holds of d [16][8]: d[0], d[1] = row g, columns 2t, 2t + 1; d[2], d[3] = row g + 8, the same
// columns. Sums are f32.

namespace roap::ptx {

/// d [16][8] += a [16][16] b [16][8] in bf16: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32. Each register holds
/// two elements, the one with the lower k (of a row of a, of a column of b) in its lower half:
/// a[0] row g, k 2t; a[1] row g + 8, k 2t; a[2] row g, k 2t + 8; a[3] row g + 8, k 2t + 8;
/// b0 column g, k 2t; b1 column g, k 2t + 8.
ROAP_PTX void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                           std::uint32_t b1 ROAP_AND_CALLER);

/// d [16][8] += a [16][8] b [8][8] in tf32: mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32. Registers hold floats
/// of which only sign, exponent and the upper 10 bits of the mantissa are used (to_tf32 rounds to them): a[0] row g, k
/// t; a[1] row g + 8, k t; a[2] row g, k t + 4; a[3] row g + 8, k t + 4; b0 column g, k t; b1 column g, k t + 4.
ROAP_PTX void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                               std::uint32_t b1 ROAP_AND_CALLER);

/// x rounded to tf32, ties away from zero: cvt.rna.tf32.f32.
ROAP_PTX std::uint32_t to_tf32(float x);

#ifndef ROAP_SIMT

__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                             std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                                 std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
  return rounded;
}

#endif

}  // namespace roap::ptx
