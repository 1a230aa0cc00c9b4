#pragma once

#include <algorithm>

// Atomic operations on integers. Threads run one at a time, so that plain operations are atomic; each is a point where
// another thread may go on. There are none on floating-point numbers, because the order of their sums would differ from
// run to run: such a call does not compile.

struct __nv_bfloat16;
struct __nv_bfloat162;

namespace roap::simt {

void atomic_point();

template <class T, class Operation>
T atomic_update(T* address, Operation operation) {
  atomic_point();
  const T old = *address;
  *address = operation(old);
  return old;
}

}  // namespace roap::simt

#define ROAP_SIMT_ATOMIC(name, type, result)                                                                  \
  inline type name(type* address, type value) {                                                               \
    return roap::simt::atomic_update(address, [value]([[maybe_unused]] type old) -> type { return result; }); \
  }
#define ROAP_SIMT_ATOMICS(type)                                                                         \
  ROAP_SIMT_ATOMIC(atomicAdd, type, static_cast<type>(roap::simt::wrap(old) + roap::simt::wrap(value))) \
  ROAP_SIMT_ATOMIC(atomicMin, type, std::min(old, value))                                               \
  ROAP_SIMT_ATOMIC(atomicMax, type, std::max(old, value))                                               \
  ROAP_SIMT_ATOMIC(atomicAnd, type, old& value)                                                         \
  ROAP_SIMT_ATOMIC(atomicOr, type, old | value)                                                         \
  ROAP_SIMT_ATOMIC(atomicXor, type, old ^ value)                                                        \
  ROAP_SIMT_ATOMIC(atomicExch, type, value)                                                             \
  inline type atomicCAS(type* address, type compare, type value) {                                      \
    return roap::simt::atomic_update(address, [=](type old) { return old == compare ? value : old; });  \
  }

namespace roap::simt {
// Overflow wraps around, also for signed numbers.
inline unsigned wrap(int x) { return static_cast<unsigned>(x); }
inline unsigned wrap(unsigned x) { return x; }
inline unsigned long long wrap(unsigned long long x) { return x; }
}  // namespace roap::simt

ROAP_SIMT_ATOMICS(int)
ROAP_SIMT_ATOMICS(unsigned)
ROAP_SIMT_ATOMICS(unsigned long long)
ROAP_SIMT_ATOMIC(atomicSub, int, static_cast<int>(roap::simt::wrap(old) - roap::simt::wrap(value)))
ROAP_SIMT_ATOMIC(atomicSub, unsigned, old - value)
ROAP_SIMT_ATOMIC(atomicMin, long long, std::min(old, value))
ROAP_SIMT_ATOMIC(atomicMax, long long, std::max(old, value))
ROAP_SIMT_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
ROAP_SIMT_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)

#undef ROAP_SIMT_ATOMICS
#undef ROAP_SIMT_ATOMIC

float atomicAdd(float*, float) = delete;
double atomicAdd(double*, double) = delete;
__nv_bfloat16 atomicAdd(__nv_bfloat16*, __nv_bfloat16) = delete;
__nv_bfloat162 atomicAdd(__nv_bfloat162*, __nv_bfloat162) = delete;
float atomicExch(float*, float) = delete;
