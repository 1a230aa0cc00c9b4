#include "tests/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#include "tests/simt/sanitizer.h"

namespace roap::simt {

namespace {

namespace context = boost::context::detail;

constexpr std::size_t kStackBytes = kSanitized ? 256 * 1024 : 64 * 1024;
constexpr std::size_t kGuardBytes = 4096;
// Stacks lie at the same place in their pages; without an offset, all tops would compete for a few lines of the cache.
constexpr std::size_t kColours = 32, kColourBytes = 128;

Fiber* leaving = nullptr;          // the fiber that the last switch left
Fiber* arriving = nullptr;         // the one it goes to
void (*entered_body)() = nullptr;  // of all fibers

/// The first thing on the new stack after a switch.
void arrived(Fiber& self, context::transfer_t from) {
  leaving->context = from.fctx;
  const void* bottom = nullptr;
  std::size_t size = 0;
  finish_switch(self.fake_stack, &bottom, &size);
  if (leaving->stack_size == 0) {  // the host's stack, whose place is not known before
    leaving->stack = const_cast<void*>(bottom);
    leaving->stack_size = size;
  }
}

void enter(context::transfer_t from) {
  arrived(*arriving, from);
  entered_body();
}

}  // namespace

void* stack_top(const Fiber& fiber) { return static_cast<std::byte*>(fiber.stack) + fiber.stack_size; }

Fiber* FiberPool::take(void (*body)()) {
  if (!free_.empty()) {
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
  }
  void* pages = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages, kGuardBytes, PROT_NONE) != 0) throw std::bad_alloc();
  auto fiber = std::make_unique<Fiber>();
  fiber->stack = static_cast<std::byte*>(pages) + kGuardBytes;
  fiber->stack_size = kStackBytes - fibers_.size() % kColours * kColourBytes;
  fiber->context = context::make_fcontext(stack_top(*fiber), fiber->stack_size, enter);
  entered_body = body;
  fibers_.push_back(std::move(fiber));
  return fibers_.back().get();
}

void FiberPool::clear() {
  for (const auto& fiber : fibers_) {
    unpoison(fiber->stack, fiber->stack_size);
    munmap(static_cast<std::byte*>(fiber->stack) - kGuardBytes, kGuardBytes + kStackBytes);
  }
  fibers_.clear();
  free_.clear();
}

const Fiber* FiberPool::with_guard_at(const void* address) const {
  for (const auto& fiber : fibers_) {
    const auto* bottom = static_cast<const std::byte*>(fiber->stack);
    if (address >= bottom - kGuardBytes && address < bottom) return fiber.get();
  }
  return nullptr;
}

void switch_fiber(Fiber& from, Fiber& to) {
  leaving = &from;
  arriving = &to;
  start_switch(&from.fake_stack, to.stack, to.stack_size);
  arrived(from, context::jump_fcontext(to.context, nullptr));
}

}  // namespace roap::simt
