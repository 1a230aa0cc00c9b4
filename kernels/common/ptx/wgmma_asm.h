#pragma once

#include "kernels/common/ptx/wgmma.h"

// The instructions behind wgmma.h. An asm statement numbers its operands: the accumulators come first, so that the
// numbers of A, of B and of the flag that says whether to accumulate follow from how many there are.

namespace roap::ptx {

// clang-format off

#define ROAP_NUMBERS_32 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ROAP_NUMBERS_64 \
  ROAP_NUMBERS_32 \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define ROAP_NUMBERS_128 \
  ROAP_NUMBERS_64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define ROAP_ACCUMULATORS_8(i) \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define ROAP_ACCUMULATORS_32(i) \
  ROAP_ACCUMULATORS_8(i), ROAP_ACCUMULATORS_8(i + 8), ROAP_ACCUMULATORS_8(i + 16), ROAP_ACCUMULATORS_8(i + 24)
#define ROAP_ACCUMULATORS_64(i) ROAP_ACCUMULATORS_32(i), ROAP_ACCUMULATORS_32(i + 32)
#define ROAP_ACCUMULATORS_128(i) ROAP_ACCUMULATORS_64(i), ROAP_ACCUMULATORS_64(i + 64)

// `flag` is the number of the flag; `operands` are those of A and B as text; `transposed` says of each whether it is
// MN-major (A in registers has no such choice).
#define ROAP_WGMMA(n, count, operands, flag, transposed, ...) \
  ROAP_ASM_SM90A( \
      "{\n" \
      ".reg .pred p;\n" \
      "setp.ne.b32 p, %" flag ", 0;\n" \
      "wgmma.mma_async.sync.aligned.m64n" n "k16.f32.bf16.bf16 {" ROAP_NUMBERS_##count "}, " operands ", p, 1, 1, " transposed ";\n" \
      "}" \
      : ROAP_ACCUMULATORS_##count(0) \
      : __VA_ARGS__, "l"(b), "r"(static_cast<int>(accumulate)))
// clang-format on

__device__ __forceinline__ void wgmma_m64n64k16(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate) {
  ROAP_WGMMA("64", 32, "%32, %33", "34", "0, 0", "l"(a));
}
__device__ __forceinline__ void wgmma_m64n128k16(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate) {
  ROAP_WGMMA("128", 64, "%64, %65", "66", "0, 0", "l"(a));
}
__device__ __forceinline__ void wgmma_m64n256k16(float (&d)[128], std::uint64_t a, std::uint64_t b, bool accumulate) {
  ROAP_WGMMA("256", 128, "%128, %129", "130", "0, 0", "l"(a));
}
__device__ __forceinline__ void wgmma_m64n64k16(float (&d)[32], const std::uint32_t (&a)[4], std::uint64_t b,
                                                bool accumulate) {
  ROAP_WGMMA("64", 32, "{%32, %33, %34, %35}, %36", "37", "0", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
}
__device__ __forceinline__ void wgmma_m64n128k16(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b,
                                                 bool accumulate) {
  ROAP_WGMMA("128", 64, "{%64, %65, %66, %67}, %68", "69", "0", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
}
__device__ __forceinline__ void wgmma_m64n256k16(float (&d)[128], const std::uint32_t (&a)[4], std::uint64_t b,
                                                 bool accumulate) {
  ROAP_WGMMA("256", 128, "{%128, %129, %130, %131}, %132", "133", "0", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
}
__device__ __forceinline__ void wgmma_m64n64k16_mn(float (&d)[32], std::uint64_t a, std::uint64_t b, bool accumulate) {
  ROAP_WGMMA("64", 32, "%32, %33", "34", "1, 1", "l"(a));
}
__device__ __forceinline__ void wgmma_m64n128k16_mn(float (&d)[64], std::uint64_t a, std::uint64_t b, bool accumulate) {
  ROAP_WGMMA("128", 64, "%64, %65", "66", "1, 1", "l"(a));
}
__device__ __forceinline__ void wgmma_m64n256k16_mn(float (&d)[128], std::uint64_t a, std::uint64_t b,
                                                    bool accumulate) {
  ROAP_WGMMA("256", 128, "%128, %129", "130", "1, 1", "l"(a));
}

__device__ __forceinline__ void wgmma_fence() { ROAP_ASM_SM90A("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit_group() {
  ROAP_ASM_SM90A("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ __forceinline__ void wgmma_wait_group() {
  ROAP_ASM_SM90A("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

#undef ROAP_WGMMA
#undef ROAP_ACCUMULATORS_128
#undef ROAP_ACCUMULATORS_64
#undef ROAP_ACCUMULATORS_32
#undef ROAP_ACCUMULATORS_8
#undef ROAP_NUMBERS_128
#undef ROAP_NUMBERS_64
#undef ROAP_NUMBERS_32

}  // namespace roap::ptx
