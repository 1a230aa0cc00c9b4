#pragma once

#include <cuda_runtime.h>

#include <cstdint>

// What every header with device code builds on. The same .cu file is compiled by nvcc and, for machines without a GPU,
// by the host compiler against the emulator (ROAP_SIMT): only headers of kernels/common tell the two apart. There, a
// PTX wrapper is an ordinary function that the emulator defines, and takes the place of its call for reports.

#ifdef ROAP_SIMT

#include <source_location>

#define ROAP_PTX
#define ROAP_CALLER std::source_location caller = std::source_location::current()
#define ROAP_AND_CALLER , ROAP_CALLER
#define ROAP_PASS_CALLER caller
#define ROAP_AND_PASS_CALLER , caller

#else

#define ROAP_PTX __device__ __forceinline__
#define ROAP_CALLER
#define ROAP_AND_CALLER
#define ROAP_PASS_CALLER
#define ROAP_AND_PASS_CALLER

// Instructions that came with sm_90 (Hopper), and those of sm_90a alone. Code for older cards may contain a call that
// it never makes; making it ends the kernel with an error instead of computing something else.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define ROAP_ASM_SM90(...) asm volatile(__VA_ARGS__)
#else
#define ROAP_ASM_SM90(...) __trap()
#endif
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define ROAP_ASM_SM90A(...) asm volatile(__VA_ARGS__)
#else
#define ROAP_ASM_SM90A(...) __trap()
#endif

#endif

namespace roap::ptx {

/// The 32-bit address of shared memory that instructions take.
__device__ __forceinline__ std::uint32_t shared_address(const void* shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

}  // namespace roap::ptx
