#pragma once

#include <cstddef>
#include <memory>
#include <vector>

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

/// Leaves `from`, the running fiber, and goes on with `to`; returns when something switches to `from`. The thread of
/// the host is a fiber, too, one without a stack of its own.
void switch_fiber(Fiber& from, Fiber& to);

/// The end of the stack from which it grows down.
void* stack_top(const Fiber& fiber);

}  // namespace roap::simt
