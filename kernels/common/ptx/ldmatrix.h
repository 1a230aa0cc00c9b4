#pragma once

#include "kernels/common/device_code.h"

// 8 x 8 matrices of 16-bit elements between shared memory and the registers of a warp, all 32 lanes together: ldmatrix
// (sm_75) and stmatrix (sm_90). Lanes 0-7 name the rows of matrix 0, lanes 8-15 those of matrix 1 and so on; each row
// is 16 bytes at an aligned address, and rows that are not needed (x1, x2) may be any address. Register i of a lane
// holds two elements of matrix i: row lane / 4, columns 2 (lane % 4) and the next one, the latter in the upper half.
// The _trans forms exchange rows and columns on the way, so that the two elements come from one column.

namespace roap::ptx {

ROAP_PTX void ldmatrix_x1(std::uint32_t& r, const void* row ROAP_AND_CALLER);
ROAP_PTX void ldmatrix_x2(std::uint32_t (&r)[2], const void* row ROAP_AND_CALLER);
ROAP_PTX void ldmatrix_x4(std::uint32_t (&r)[4], const void* row ROAP_AND_CALLER);
ROAP_PTX void ldmatrix_x1_trans(std::uint32_t& r, const void* row ROAP_AND_CALLER);
ROAP_PTX void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row ROAP_AND_CALLER);
ROAP_PTX void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row ROAP_AND_CALLER);

ROAP_PTX void stmatrix_x1(void* row, std::uint32_t r ROAP_AND_CALLER);
ROAP_PTX void stmatrix_x2(void* row, const std::uint32_t (&r)[2] ROAP_AND_CALLER);
ROAP_PTX void stmatrix_x4(void* row, const std::uint32_t (&r)[4] ROAP_AND_CALLER);
ROAP_PTX void stmatrix_x1_trans(void* row, std::uint32_t r ROAP_AND_CALLER);
ROAP_PTX void stmatrix_x2_trans(void* row, const std::uint32_t (&r)[2] ROAP_AND_CALLER);
ROAP_PTX void stmatrix_x4_trans(void* row, const std::uint32_t (&r)[4] ROAP_AND_CALLER);

#ifndef ROAP_SIMT

__device__ __forceinline__ void ldmatrix_x1(std::uint32_t& r, const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_x2(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x1_trans(std::uint32_t& r, const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
               : "=r"(r)
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void stmatrix_x1(void* row, std::uint32_t r) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x1.shared.b16 [%0], {%1};" ::"r"(shared_address(row)), "r"(r) : "memory");
}
__device__ __forceinline__ void stmatrix_x2(void* row, const std::uint32_t (&r)[2]) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(shared_address(row)), "r"(r[0]),
                "r"(r[1])
                : "memory");
}
__device__ __forceinline__ void stmatrix_x4(void* row, const std::uint32_t (&r)[4]) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
                : "memory");
}
__device__ __forceinline__ void stmatrix_x1_trans(void* row, std::uint32_t r) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(shared_address(row)), "r"(r)
                : "memory");
}
__device__ __forceinline__ void stmatrix_x2_trans(void* row, const std::uint32_t (&r)[2]) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(shared_address(row)), "r"(r[0]),
                "r"(r[1])
                : "memory");
}
__device__ __forceinline__ void stmatrix_x4_trans(void* row, const std::uint32_t (&r)[4]) {
  ROAP_ASM_SM90("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
                : "memory");
}

#endif

}  // namespace roap::ptx
