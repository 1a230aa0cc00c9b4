#include <fmt/format.h>

#include <limits>

#include "tests/simt/collective.h"

// Collective operations of a warp.

namespace roap::simt {

namespace {

constexpr std::uint64_t kPoison = std::numeric_limits<std::uint64_t>::max();

/// Does the work of a collective whose lanes have all arrived, and lets them go on, except the current thread, which is
/// one of them or has just ended.
void complete(Warp& warp, Collective& slot) {
  const Collective done = slot;
  slot = warp.collectives[--warp.collective_count];
  done.complete(warp, done.arrived);
  scheduler().made_progress();
  std::uint32_t waiting = done.arrived;
  const Thread& self = scheduler().current();
  if (self.warp == &warp) waiting &= ~(1u << self.lane);
  scheduler().wake(warp, waiting);
}

Collective& find_or_add(Warp& warp, const Collective& wanted, const Caller& caller) {
  for (unsigned i = 0; i < warp.collective_count; ++i) {
    Collective& slot = warp.collectives[i];
    if (slot.mask != wanted.mask) continue;
    if (slot.operation != wanted.operation) {
      scheduler().fail(cudaErrorIllegalInstruction,
                       fmt::format("lanes of one mask ({:#x}) make different calls: {} here, {} in lanes {:#x}",
                                   slot.mask, wanted.operation, slot.operation, slot.arrived),
                       caller);
    }
    return slot;
  }
  return warp.collectives[warp.collective_count++] = wanted;
}

/// The current lane's part of a collective.
void arrive(const Collective& wanted, void* operand, const Caller& caller) {
  Thread& self = scheduler().current();
  Warp& warp = *self.warp;
  self.operand = operand;
  Collective& slot = find_or_add(warp, wanted, caller);
  slot.arrived |= 1u << self.lane;
  if (slot.arrived == (slot.mask & warp.live)) {
    complete(warp, slot);
  } else {
    scheduler().wait({wanted.operation, caller, "mask", wanted.mask});
  }
}

}  // namespace

void warp_collective(const char* operation, std::uint32_t mask, void* operand,
                     void (*complete_lanes)(Warp& warp, std::uint32_t lanes), const Caller& caller) {
  const unsigned lane = scheduler().current().lane;
  if ((mask >> lane & 1u) == 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} with mask {:#x}, which lacks the calling lane {}", operation, mask, lane), caller);
  }
  arrive({operation, mask, 0, complete_lanes, false}, operand, caller);
}

void whole_warp(const char* operation, void* operand, void (*complete_lanes)(Warp& warp, std::uint32_t lanes),
                const Caller& caller) {
  const std::uint32_t live = scheduler().current().warp->live;
  if (live != kAllLanes) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} needs all 32 lanes of the warp; {:#x} are left", operation, live), caller);
  }
  arrive({operation, kAllLanes, 0, complete_lanes, true}, operand, caller);
}

void lane_ended(Warp& warp) {
  for (unsigned i = 0; i < warp.collective_count;) {
    Collective& slot = warp.collectives[i];
    if (!slot.needs_all && slot.arrived == (slot.mask & warp.live)) {
      complete(warp, slot);  // another one takes its place
    } else {
      ++i;
    }
  }
}

namespace {

struct ShuffleOperand {
  Shuffle kind;
  int operand;
  unsigned width;
  std::uint64_t value, result;
};

/// The lane whose value `lane` gets; its own where the source would be outside of its part of the warp.
unsigned source_lane(const ShuffleOperand& o, unsigned lane) {
  const unsigned first = lane / o.width * o.width;
  const int last = static_cast<int>(first + o.width) - 1;
  const int own = static_cast<int>(lane);
  int source = own;
  switch (o.kind) {
    case Shuffle::from:
      return first + (static_cast<unsigned>(o.operand) & (o.width - 1));
    case Shuffle::up:
      source = own - o.operand;
      return static_cast<unsigned>(source < static_cast<int>(first) ? own : source);
    case Shuffle::down:
      source = own + o.operand;
      break;
    case Shuffle::exclusive_or:
      source = own ^ o.operand;
      break;
  }
  return static_cast<unsigned>(source > last || source < 0 ? own : source);
}

void complete_shuffle(Warp& warp, std::uint32_t lanes) {
  for_lanes(lanes, [&](unsigned lane) {
    auto& mine = warp.operand<ShuffleOperand>(lane);
    const unsigned source = source_lane(mine, lane);
    mine.result = (lanes >> source & 1u) != 0 ? warp.operand<ShuffleOperand>(source).value : kPoison;
  });
}

struct VoteOperand {
  std::uint64_t value;
  unsigned result;
};

template <class Decide>
void complete_vote(Warp& warp, std::uint32_t lanes, Decide decide) {
  std::uint32_t ballot = 0;
  for_lanes(lanes, [&](unsigned lane) {
    if (warp.operand<VoteOperand>(lane).value != 0) ballot |= 1u << lane;
  });
  const unsigned result = decide(ballot);
  for_lanes(lanes, [&](unsigned lane) { warp.operand<VoteOperand>(lane).result = result; });
}

void complete_ballot(Warp& warp, std::uint32_t lanes) {
  complete_vote(warp, lanes, [](std::uint32_t ballot) { return ballot; });
}
void complete_all(Warp& warp, std::uint32_t lanes) {
  complete_vote(warp, lanes, [lanes](std::uint32_t ballot) { return ballot == lanes ? 1u : 0u; });
}
void complete_any(Warp& warp, std::uint32_t lanes) {
  complete_vote(warp, lanes, [](std::uint32_t ballot) { return ballot != 0 ? 1u : 0u; });
}
void complete_match(Warp& warp, std::uint32_t lanes) {
  for_lanes(lanes, [&](unsigned lane) {
    auto& mine = warp.operand<VoteOperand>(lane);
    mine.result = 0;
    for_lanes(lanes, [&](unsigned other) {
      if (warp.operand<VoteOperand>(other).value == mine.value) mine.result |= 1u << other;
    });
  });
}

struct ReduceOperand {
  Reduce kind;
  long long value;
};

long long combine(Reduce kind, long long a, long long b) {
  switch (kind) {
    case Reduce::add:
      return a + b;
    case Reduce::min:
      return std::min(a, b);
    case Reduce::max:
      return std::max(a, b);
    case Reduce::bit_and:
      return a & b;
    case Reduce::bit_or:
      return a | b;
    case Reduce::bit_xor:
      return a ^ b;
  }
  return 0;
}

void complete_reduce(Warp& warp, std::uint32_t lanes) {
  const auto first = static_cast<unsigned>(__builtin_ctz(lanes));
  const auto [kind, value] = warp.operand<ReduceOperand>(first);
  long long result = value;
  for_lanes(lanes & (lanes - 1),
            [&](unsigned lane) { result = combine(kind, result, warp.operand<ReduceOperand>(lane).value); });
  for_lanes(lanes, [&](unsigned lane) { warp.operand<ReduceOperand>(lane).value = result; });
}

}  // namespace

unsigned long long shuffle(Shuffle kind, unsigned mask, unsigned long long bits, int operand, int width,
                           Caller caller) {
  constexpr const char* kNames[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("width {} of a shuffle is not a power of two up to 32", width), caller);
  }
  ShuffleOperand mine{kind, operand, static_cast<unsigned>(width), bits, 0};
  warp_collective(kNames[static_cast<int>(kind)], mask, &mine, complete_shuffle, caller);
  return mine.result;
}

unsigned vote(Vote kind, unsigned mask, unsigned long long value, Caller caller) {
  VoteOperand mine{value, 0};
  switch (kind) {
    case Vote::ballot:
      warp_collective("__ballot_sync", mask, &mine, complete_ballot, caller);
      break;
    case Vote::all:
      warp_collective("__all_sync", mask, &mine, complete_all, caller);
      break;
    case Vote::any:
      warp_collective("__any_sync", mask, &mine, complete_any, caller);
      break;
    case Vote::match_any:
      warp_collective("__match_any_sync", mask, &mine, complete_match, caller);
      break;
  }
  return mine.result;
}

long long reduce(Reduce kind, unsigned mask, long long value, Caller caller) {
  constexpr const char* kNames[] = {"__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                    "__reduce_and_sync", "__reduce_or_sync",  "__reduce_xor_sync"};
  ReduceOperand mine{kind, value};
  warp_collective(kNames[static_cast<int>(kind)], mask, &mine, complete_reduce, caller);
  return mine.value;
}

void sync_warp(unsigned mask, Caller caller) {
  warp_collective(
      "__syncwarp", mask, nullptr, [](Warp&, std::uint32_t) {}, caller);
}

}  // namespace roap::simt

unsigned __activemask() { return 1u << roap::simt::scheduler().current().lane; }
