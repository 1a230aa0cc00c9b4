#include "tests/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace roap::simt {

namespace {

constexpr std::size_t kStackBytes = kSanitized ? 256 * 1024 : 64 * 1024;
constexpr std::size_t kGuardBytes = 64 * 1024;  // more than any one array of a kernel
// Stacks lie at the same place in their pages; without an offset, all tops would compete for a few lines of the cache.
constexpr std::size_t kColours = 32, kColourBytes = 128;

void (*entered_body)() = nullptr;  // of all fibers

void enter(boost::context::detail::transfer_t from) {
  detail::arrived(*detail::arriving, from);
  entered_body();
}

}  // namespace

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
  fiber->context = boost::context::detail::make_fcontext(stack_top(*fiber), fiber->stack_size, enter);
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

}  // namespace roap::simt
