#pragma once

#include <cstddef>

// AddressSanitizer's interface, or nothing in builds without it.

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace roap::simt {

#ifdef __SANITIZE_ADDRESS__

inline constexpr bool kSanitized = true;
inline void poison(const volatile void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void unpoison(const volatile void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
inline void start_switch(void** fake_stack, const void* stack, std::size_t size) {
  __sanitizer_start_switch_fiber(fake_stack, stack, size);
}
inline void finish_switch(void* fake_stack, const void** old_stack, std::size_t* old_size) {
  __sanitizer_finish_switch_fiber(fake_stack, old_stack, old_size);
}

#else

inline constexpr bool kSanitized = false;
inline void poison(const volatile void*, std::size_t) {}
inline void unpoison(const volatile void*, std::size_t) {}
inline void start_switch(void**, const void*, std::size_t) {}
inline void finish_switch(void*, const void**, std::size_t*) {}

#endif

}  // namespace roap::simt
