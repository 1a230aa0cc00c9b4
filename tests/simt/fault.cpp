#include "tests/simt/fault.h"

#include <fmt/format.h>
#include <ucontext.h>

#include <array>
#include <cstdint>

#include "tests/simt/sanitizer.h"
#include "tests/simt/scheduler.h"

// A signal handler cannot leave a fiber, so it only has the fiber go on in land() when the handler returns, on the same
// stack from its top, since nothing on it is needed any more (and there may be no more room below).

namespace roap::simt {

namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE};

std::array<struct sigaction, kSignals.size()> previous;
stack_t previous_stack;
int fault_signal = 0;
const void* fault_address = nullptr;

[[noreturn]] __attribute__((no_sanitize("address"))) void land() {
  const Fiber& fiber = *scheduler().current().fiber;
  unpoison(fiber.stack, fiber.stack_size);
  if (fault_signal == SIGFPE) scheduler().fail(cudaErrorIllegalInstruction, "integer division by zero", Caller{});
  scheduler().fail(cudaErrorIllegalAddress, scheduler().describe_address(fault_address), Caller{});
}

/// Has the interrupted code go on in land() with this stack pointer.
void redirect(ucontext_t& context, void* stack) {
  const auto top = reinterpret_cast<std::uintptr_t>(stack) / 16 * 16;
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(top - 8);  // as after a call
  context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&land);
#elif defined(__aarch64__)
  context.uc_mcontext.sp = top;
  context.uc_mcontext.pc = reinterpret_cast<std::uintptr_t>(&land);
#else
#error "fault.cpp: say here how to set the stack pointer and the program counter of this processor"
#endif
}

void handle(int signal, siginfo_t* info, void* context) {
  if (scheduler().running()) {
    fault_signal = signal;
    fault_address = info->si_addr;
    redirect(*static_cast<ucontext_t*>(context), stack_top(*scheduler().current().fiber));
    return;
  }
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == signal) sigaction(signal, &previous[i], nullptr);  // and the instruction faults again
  }
}

}  // namespace

FaultHandler::FaultHandler() {
  static std::array<std::byte, 64 * 1024> handler_stack;  // the fiber's may be what is exhausted
  stack_t stack{};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  sigaltstack(&stack, &previous_stack);
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
}

FaultHandler::~FaultHandler() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
  sigaltstack(&previous_stack, nullptr);
}

}  // namespace roap::simt
