#pragma once

#include "kernels/common/device_code.h"

// Matrix products of a warpgroup, four warps that begin at a multiple of four (sm_90a): wgmma. All 128 threads call
// together with the same descriptors. Products run asynchronously: between the call and the wgmma_wait_group that
// covers its group, nobody may touch the accumulators, the registers of A or the shared memory of the operands.
//
//   wgmma_fence();                                         // registers were written since the last product
//   for each k slice: wgmma_m64n256k16(d, a, b, true);
//   wgmma_commit_group();
//   wgmma_wait_group<0>();
//   wgmma_keep(d);                                         // before the first read of d
//
// d [64][N]: with w = warp % 4, g = lane / 4, t = lane % 4, a thread holds of row 16 w + g in d[4 j], d[4 j + 1] the
// columns 8 j + 2 t and the next one, and of row 16 w + g + 8 the same columns in d[4 j + 2], d[4 j + 3]. A [64][16] in
// registers is laid out as in mma_m16n8k16, 16 rows a warp. In shared memory operands are bf16, in tiles with rows of
// 64 numbers and the 128-byte swizzle that tensor copies produce: K-major, that is, k runs along rows, A as [64][16]
// and B as [N][16]; or both MN-major, k counts rows, A as [16][64] and B as [16][N] (the products that end in _mn). A
// K-major operand may also lie without a swizzle, 8 columns after 8 columns.

namespace roap::ptx {

/// Descriptor of a K-major operand, bf16 with 128-byte swizzle: rows of 128 bytes, groups of 8 rows back to back from
/// an address that is a multiple of 1024. The slice k of 16 columns is the descriptor of the tile's address + 32 k
/// bytes.
__device__ __forceinline__ std::uint64_t wgmma_descriptor(const void* shared) {
  constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62;
  constexpr std::uint64_t kBytesOfEightRows = 1024;
  constexpr std::uint64_t kUnused = 1;  // the distance along k, which this layout has no use for
  const std::uint64_t address = shared_address(shared);
  return (address & 0x3ffff) >> 4 | kUnused << 16 | kBytesOfEightRows >> 4 << 32 | kSwizzle128;
}

/// Descriptor of an MN-major operand, bf16 with 128-byte swizzle: tiles of 64 columns, `tile_bytes` apart, with rows of
/// 128 bytes, groups of 8 rows back to back from an address that is a multiple of 1024. The slice of the rows from k
/// on, a multiple of 8, is the descriptor of the tile's address + 128 k bytes.
__device__ __forceinline__ std::uint64_t wgmma_descriptor_mn(const void* shared, std::uint32_t tile_bytes) {
  constexpr std::uint64_t kLeadingMask = 0x3fff;
  return (wgmma_descriptor(shared) & ~(kLeadingMask << 16)) | std::uint64_t{tile_bytes >> 4} << 16;
}

/// Descriptor of a K-major slice of 16 columns, bf16 without swizzle: two pieces, `piece_bytes` apart, of 8 columns
/// each, that is, of rows of 16 bytes back to back.
__device__ __forceinline__ std::uint64_t wgmma_descriptor_of_pieces(const void* shared, std::uint32_t piece_bytes) {
  constexpr std::uint64_t kBytesOfEightRows = 128;
  const std::uint64_t address = shared_address(shared);
  return (address & 0x3ffff) >> 4 | std::uint64_t{piece_bytes >> 4} << 16 | kBytesOfEightRows >> 4 << 32;
}

/// Orders accesses to registers before later products: wgmma.fence.
ROAP_PTX void wgmma_fence(ROAP_CALLER);
/// Closes a group of all products since the last commit: wgmma.commit_group.
ROAP_PTX void wgmma_commit_group(ROAP_CALLER);

// wgmma_wait_group<kPending>() waits until at most the kPending latest groups are unfinished: wgmma.wait_group.

/// d [64][N] = a b' (+ d when `accumulate`): wgmma.mma_async.m64nNk16.f32.bf16.bf16, A by descriptor or in registers.
ROAP_PTX void wgmma_m64n64k16(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n128k16(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n256k16(float (&d)[128], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n64k16(float (&d)[32], const std::uint32_t (&a)[4], std::uint64_t b,
                              bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n128k16(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b,
                               bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n256k16(float (&d)[128], const std::uint32_t (&a)[4], std::uint64_t b,
                               bool accumulate ROAP_AND_CALLER);
/// The same of MN-major operands: d [64][N] = a' b (+ d).
ROAP_PTX void wgmma_m64n64k16_mn(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n128k16_mn(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);
ROAP_PTX void wgmma_m64n256k16_mn(float (&d)[128], std::uint64_t a, std::uint64_t b, bool accumulate ROAP_AND_CALLER);

/// Keeps the compiler from moving accesses to the accumulators across this point.
template <int kCount>
__device__ __forceinline__ void wgmma_keep(float (&d)[kCount]) {
#ifndef ROAP_SIMT
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
#endif
}

#ifdef ROAP_SIMT

void wgmma_wait(int pending, std::source_location caller);

template <int kPending>
void wgmma_wait_group(ROAP_CALLER) {
  wgmma_wait(kPending, caller);
}

#endif

}  // namespace roap::ptx

#ifndef ROAP_SIMT
#include "kernels/common/ptx/wgmma_asm.h"
#endif
