#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "tests/simt/sanitizer.h"

// Fibers: stacks and the switch between them, on Boost.Context's two functions. AddressSanitizer is told of every
// switch.

namespace roap::simt {

struct Fiber {
  void* context = nullptr;     ///< where it goes on
  void* stack = nullptr;       ///< its lowest usable byte; below it lies a guard page
  std::size_t stack_size = 0;  ///< bytes
  void* fake_stack = nullptr;  ///< AddressSanitizer's, while the fiber does not run
};

/// Stacks for fibers, kept for the life of the process.
class FiberPool {
 public:
  FiberPool() = default;
  FiberPool(const FiberPool&) = delete;
  ~FiberPool() { clear(); }

  /// A fiber that enters `body` when it is first switched to. `body` must not return.
  Fiber* take(void (*body)());
  /// Gives back a fiber that waits in `body` to be entered again.
  void give_back(Fiber* fiber) { free_.push_back(fiber); }
  /// Gives up all fibers, wherever they wait: nothing on their stacks is destroyed.
  void clear();
  /// The fiber whose guard page contains the address, or null.
  [[nodiscard]] const Fiber* with_guard_at(const void* address) const;

 private:
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_;
};

/// The end of the stack from which it grows down.
inline void* stack_top(const Fiber& fiber) { return static_cast<std::byte*>(fiber.stack) + fiber.stack_size; }

namespace detail {

inline Fiber* leaving = nullptr;   ///< the fiber that the last switch left
inline Fiber* arriving = nullptr;  ///< the one it goes to

/// The first thing on a stack after a switch to it.
inline void arrived(Fiber& self, boost::context::detail::transfer_t from) {
  leaving->context = from.fctx;
  const void* bottom = nullptr;
  std::size_t size = 0;
  finish_switch(self.fake_stack, &bottom, &size);
  if (leaving->stack_size == 0) {  // the host's stack, whose place is not known before
    leaving->stack = const_cast<void*>(bottom);
    leaving->stack_size = size;
  }
}

}  // namespace detail

/// Leaves `from`, the running fiber, and goes on with `to`; returns when something switches to `from`. The thread of
/// the host is a fiber, too, one without a stack of its own. Inline, because the processor mispredicts every return on
/// the way out of a switch.
inline __attribute__((always_inline)) void switch_fiber(Fiber& from, Fiber& to) {
  detail::leaving = &from;
  detail::arriving = &to;
  start_switch(&from.fake_stack, to.stack, to.stack_size);
  detail::arrived(from, boost::context::detail::jump_fcontext(to.context, nullptr));
}

}  // namespace roap::simt
