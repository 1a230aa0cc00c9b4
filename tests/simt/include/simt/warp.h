#pragma once

#include <cstring>
#include <source_location>

#include "tests/simt/include/simt/builtins.h"

// Collective operations of a warp. A lane waits until all lanes of the mask that have not ended have made the same
// call. What is undefined on a GPU, such as the value of a lane outside of the mask, is poison here: all bits set.

namespace roap::simt {

enum class Shuffle { from, up, down, exclusive_or };
enum class Vote { ballot, all, any, match_any };
enum class Reduce { add, min, max, bit_and, bit_or, bit_xor };

/// `operand` is the source lane, distance or lane mask.
unsigned long long shuffle(Shuffle kind, unsigned mask, unsigned long long bits, int operand, int width,
                           std::source_location caller);
unsigned vote(Vote kind, unsigned mask, unsigned long long value, std::source_location caller);
long long reduce(Reduce kind, unsigned mask, long long value, std::source_location caller);
void sync_warp(unsigned mask, std::source_location caller);

template <class T>
T shuffle_value(Shuffle kind, unsigned mask, T value, int operand, int width, std::source_location caller) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "shuffles move 2, 4 or 8 bytes");
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = shuffle(kind, mask, bits, operand, width, caller);
  std::memcpy(static_cast<void*>(&value), &bits, sizeof value);
  return value;
}

}  // namespace roap::simt

#define ROAP_SIMT_CALLER std::source_location caller = std::source_location::current()

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize, ROAP_SIMT_CALLER) {
  return roap::simt::shuffle_value(roap::simt::Shuffle::from, mask, value, lane, width, caller);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = warpSize, ROAP_SIMT_CALLER) {
  return roap::simt::shuffle_value(roap::simt::Shuffle::up, mask, value, static_cast<int>(distance), width, caller);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = warpSize, ROAP_SIMT_CALLER) {
  return roap::simt::shuffle_value(roap::simt::Shuffle::down, mask, value, static_cast<int>(distance), width, caller);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, ROAP_SIMT_CALLER) {
  return roap::simt::shuffle_value(roap::simt::Shuffle::exclusive_or, mask, value, lane_mask, width, caller);
}

inline void __syncwarp(unsigned mask = 0xffffffffu, ROAP_SIMT_CALLER) { roap::simt::sync_warp(mask, caller); }

inline unsigned __ballot_sync(unsigned mask, int predicate, ROAP_SIMT_CALLER) {
  return roap::simt::vote(roap::simt::Vote::ballot, mask, predicate != 0, caller);
}
inline int __all_sync(unsigned mask, int predicate, ROAP_SIMT_CALLER) {
  return static_cast<int>(roap::simt::vote(roap::simt::Vote::all, mask, predicate != 0, caller));
}
inline int __any_sync(unsigned mask, int predicate, ROAP_SIMT_CALLER) {
  return static_cast<int>(roap::simt::vote(roap::simt::Vote::any, mask, predicate != 0, caller));
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, ROAP_SIMT_CALLER) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return roap::simt::vote(roap::simt::Vote::match_any, mask, bits, caller);
}
/// The lanes that run together with this one. No code may rely on any other being among them, so none is.
unsigned __activemask();

#define ROAP_SIMT_REDUCE(name, kind, type)                                                       \
  inline type name(unsigned mask, type value, ROAP_SIMT_CALLER) {                                \
    return static_cast<type>(roap::simt::reduce(roap::simt::Reduce::kind, mask, value, caller)); \
  }
ROAP_SIMT_REDUCE(__reduce_add_sync, add, unsigned)
ROAP_SIMT_REDUCE(__reduce_add_sync, add, int)
ROAP_SIMT_REDUCE(__reduce_min_sync, min, unsigned)
ROAP_SIMT_REDUCE(__reduce_min_sync, min, int)
ROAP_SIMT_REDUCE(__reduce_max_sync, max, unsigned)
ROAP_SIMT_REDUCE(__reduce_max_sync, max, int)
ROAP_SIMT_REDUCE(__reduce_and_sync, bit_and, unsigned)
ROAP_SIMT_REDUCE(__reduce_or_sync, bit_or, unsigned)
ROAP_SIMT_REDUCE(__reduce_xor_sync, bit_xor, unsigned)
#undef ROAP_SIMT_REDUCE
#undef ROAP_SIMT_CALLER
