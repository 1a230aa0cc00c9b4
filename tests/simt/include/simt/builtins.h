#pragma once

#include <cstddef>
#include <source_location>
#include <type_traits>

#include "tests/simt/include/simt/qualifiers.h"
#include "tests/simt/include/simt/vector_types.h"

// Built-in variables, block barriers, fences, memory access functions and shared memory. Functions at which a thread
// may have to wait take the place of their call, which a report names.

// Of the thread that runs now.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

void __syncthreads(std::source_location caller = std::source_location::current());
int __syncthreads_count(int predicate, std::source_location caller = std::source_location::current());
int __syncthreads_and(int predicate, std::source_location caller = std::source_location::current());
int __syncthreads_or(int predicate, std::source_location caller = std::source_location::current());

/// Lets other threads run; for loops that wait for another thread.
void __nanosleep(unsigned nanoseconds, std::source_location caller = std::source_location::current());
/// Ends the kernel with a report.
void __trap(std::source_location caller = std::source_location::current());

long long clock64();

// Threads run one at a time and in program order, so that fences have nothing to do.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// Loads and stores with a cache hint.
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldca(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcg(T* p, std::type_identity_t<T> value) {
  *p = value;
}
template <class T>
void __stcs(T* p, std::type_identity_t<T> value) {
  *p = value;
}
template <class T>
void __stwt(T* p, std::type_identity_t<T> value) {
  *p = value;
}

/// The 32-bit address of shared memory: its offset in the block's, and above it the rank + 1 of the block if it is
/// another one of the cluster. Reports an address that is not in shared memory.
std::size_t __cvta_generic_to_shared(const void* p, std::source_location caller = std::source_location::current());

namespace roap::simt {

/// A static shared array: one object for each declaration (in each instance of its function).
struct SharedArray {
  const char* name;
  std::size_t bytes;
  std::size_t alignment;
  std::source_location where;
  unsigned long long launch;  ///< the launch that `offset` belongs to
  std::size_t offset;         ///< in the shared memory of each block of that launch
};

/// Memory of the array in the running thread's block.
void* shared_memory(SharedArray& array);
/// Dynamic shared memory of the running thread's block at a byte offset, which must be aligned and inside.
void* dynamic_shared_memory(std::size_t byte_offset, std::size_t alignment, std::source_location caller);

}  // namespace roap::simt
