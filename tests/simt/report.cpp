#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "tests/simt/collective.h"
#include "tests/simt/device_memory.h"
#include "tests/simt/runtime.h"

// What a failed kernel leaves behind: a text that names kernel, block, thread and place.

namespace roap::simt {

namespace {

std::string triple(const uint3& v) { return fmt::format("({}, {}, {})", v.x, v.y, v.z); }

std::string place(const Caller& caller) { return fmt::format("{}:{}", caller.file_name(), caller.line()); }

/// Threads of a block that wait for the same thing at the same place, or that have ended.
struct Group {
  const Block* block;
  const Waiting* waiting;  ///< null: ended
  std::vector<const Thread*> threads;

  [[nodiscard]] bool accepts(const Block& b, const Waiting* w) const {
    if (block != &b || (waiting == nullptr) != (w == nullptr)) return false;
    if (w == nullptr) return true;
    const auto key = [](const Waiting& x) {
      return std::tuple(std::string_view(x.operation), std::string_view(x.caller.file_name()), x.caller.line(), x.value,
                        x.mbarrier);
    };
    return key(*waiting) == key(*w);
  }
};

std::string describe(const Group& group, bool name_block) {
  const unsigned first = static_cast<unsigned>(group.threads.front() - group.block->threads.data());
  const unsigned last = static_cast<unsigned>(group.threads.back() - group.block->threads.data());
  const bool gaps = last - first + 1 != group.threads.size();
  std::string text =
      fmt::format("\n  {} thread{} ({}{}{}){}", group.threads.size(), group.threads.size() == 1 ? "" : "s", first,
                  last == first ? "" : fmt::format(" to {}", last), gaps ? " with gaps" : "",
                  name_block ? fmt::format(" of block {}", triple(group.block->index)) : "");
  if (group.waiting == nullptr) return text + ": ended";
  text += fmt::format(": wait in {}", group.waiting->operation);
  if (group.waiting->detail != nullptr) text += fmt::format(", {} {:#x}", group.waiting->detail, group.waiting->value);
  if (group.waiting->mbarrier != nullptr) text += describe_mbarrier(group.waiting->mbarrier);
  return text + ", " + place(group.waiting->caller);
}

}  // namespace

std::string Scheduler::describe_deadlock() const {
  std::vector<Group> groups;
  for (const Block* block : cluster_) {
    for (const Thread& thread : block->threads) {
      const bool ended = (thread.warp->live >> thread.lane & 1u) == 0;
      const Waiting* waiting = ended ? nullptr : &thread.waiting;
      auto group =
          std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.accepts(*block, waiting); });
      if (group == groups.end()) group = groups.insert(group, {block, waiting, {}});
      group->threads.push_back(&thread);
    }
  }
  std::string text = "no thread can go on (deadlock)";
  for (const Group& group : groups) text += describe(group, cluster_.size() > 1);
  return text;
}

std::string Scheduler::describe_address(const void* address) const {
  for (const Block* block : cluster_) {
    if (!block->arena.reserves(address)) continue;
    const auto offset = static_cast<const std::byte*>(address) - block->arena.data();
    const char* whose = block == current_->warp->block ? "" : " of another block";
    if (offset < 0) return fmt::format("access {} bytes before the shared memory{}", -offset, whose);
    return fmt::format("access to shared memory{}, {}", whose, layout_.describe(static_cast<std::size_t>(offset)));
  }
  if (fibers_.with_guard_at(address) != nullptr)
    return "stack overflow: local variables take more than the emulator has";
  if (address == nullptr) return "access to a null pointer, or one that is not aligned to the size of the access";
  return fmt::format("access to address {}, which {}", fmt::ptr(address), describe_memory(address));
}

void Scheduler::keep_report(cudaError_t error, std::string_view what, const Block& block, const Thread* thread,
                            const Caller& caller) {
  error_ = error;
  std::string text = fmt::format("kernel {} <<<{}, {}>>>, block {}", launch_->name, triple(launch_->grid),
                                 triple(launch_->block), triple(block.index));
  if (thread != nullptr) text += fmt::format(", thread {}", triple(thread->index));
  if (caller.line() != 0) text += ", " + place(caller);
  text += fmt::format(": {} [seed {}]", what, seed_);
  set_report(std::move(text));
}

void Scheduler::fail(cudaError_t error, std::string what, const Caller& caller) {
  Thread& thread = *current_;
  // A deadlock is nobody's in particular.
  keep_report(error, what, *thread.warp->block, error == cudaErrorLaunchTimeout ? nullptr : &thread, caller);
  std::string().swap(what);  // nothing on this stack will be destroyed
  switch_fiber(*thread.fiber, host_);
  __builtin_unreachable();
}

}  // namespace roap::simt
