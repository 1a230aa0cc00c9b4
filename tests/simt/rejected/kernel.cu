#include <cuda_bf16.h>
#include <cuda_runtime.h>

// Compiles as it is; each of the macros adds a line that must not (see CMakeLists.txt).

/// Computes  sum = x, and adds the integer part of x to count
/// Shapes    sum [1], count [1]
/// Mapping   any one thread
/// Memory    both written, count read
/// Numerics  none
/// Limits    with a macro: does not compile for the emulator
__global__ void kernel(float* sum, int* count, float x) {
  atomicAdd(count, static_cast<int>(x));
#ifdef REJECT_FLOAT_ATOMIC
  atomicAdd(sum, x);
#endif
#ifdef REJECT_SHARED
  __shared__ float values[32];
#endif
  *sum = x;
}

#ifdef REJECT_CONSTANT
__constant__ float table[4];
#endif
