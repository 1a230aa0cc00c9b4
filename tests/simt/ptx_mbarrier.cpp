#include "kernels/common/ptx/mbarrier.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/common/ptx/cluster.h"
#include "tests/simt/collective.h"

// mbarrier. The whole state is in its 8 bytes, as on a GPU, so that what overwrites it is noticed.

namespace roap::simt {

namespace {

constexpr int kCountBits = 20, kBytesBits = 21;
constexpr std::uint64_t kCountMask = (1u << kCountBits) - 1;
constexpr std::uint64_t kBytesMask = (1u << kBytesBits) - 1;
constexpr std::uint64_t kMark = 2;  // in the upper two bits: poison and zeros are no mbarriers

struct State {
  std::uint64_t parity;    ///< of the current phase
  std::uint64_t expected;  ///< arrivals of a phase
  std::uint64_t pending;   ///< arrivals that are still to come
  std::int64_t bytes;      ///< announced, but not landed
};

bool is_mbarrier(std::uint64_t bits) { return bits >> 62 == kMark; }

State unpack(std::uint64_t bits) {
  const std::uint64_t raw = bits >> (1 + 2 * kCountBits) & kBytesMask;
  const auto bytes = static_cast<std::int64_t>(raw);
  return {bits & 1, bits >> 1 & kCountMask, bits >> (1 + kCountBits) & kCountMask,
          raw >> (kBytesBits - 1) != 0 ? bytes - (std::int64_t{1} << kBytesBits) : bytes};
}

std::uint64_t pack(const State& s) {
  return s.parity | s.expected << 1 | s.pending << (1 + kCountBits) |
         (static_cast<std::uint64_t>(s.bytes) & kBytesMask) << (1 + 2 * kCountBits) | kMark << 62;
}

/// Stores a changed state; when the phase is complete, begins the next and wakes those who wait.
void update(Block& block, std::uint64_t* barrier, State state) {
  const bool completes = state.pending == 0 && state.bytes == 0;
  if (completes) {
    state.parity ^= 1;
    state.pending = state.expected;
  }
  *barrier = pack(state);
  scheduler().made_progress();
  if (!completes) return;
  std::erase_if(block.mbarrier_waiters, [barrier](Thread* thread) {
    if (thread->operand != barrier) return false;
    scheduler().wake(*thread->warp, 1u << thread->lane);
    return true;
  });
  scheduler().wake_pollers();
}

void arrive(Block& block, std::uint64_t* barrier, std::uint32_t bytes) {
  State state = unpack(*barrier);
  state.bytes += bytes;
  --state.pending;
  update(block, barrier, state);
}

Block& own_block() { return *scheduler().current().warp->block; }

/// Whether the phase of this parity is over.
bool completed(const std::uint64_t* barrier, std::uint32_t parity) { return unpack(*barrier).parity != (parity & 1); }

}  // namespace

void complete_mbarrier_bytes(Block& block, std::uint64_t* barrier, std::uint32_t bytes) {
  State state = unpack(*barrier);
  state.bytes -= bytes;
  update(block, barrier, state);
}

void check_mbarrier(const std::uint64_t* barrier, const char* operation, const Caller& caller) {
  const std::byte* place = checked_shared(barrier, 8, 8, operation, caller);
  if (!is_mbarrier(*barrier)) {
    const std::byte* arena = scheduler().block_of_shared(barrier)->arena.data();
    std::string text = fmt::format("{} of {}, which holds {:#x} and no initialized mbarrier", operation,
                                   scheduler().layout().describe(static_cast<std::size_t>(place - arena)), *barrier);
    scheduler().fail(cudaErrorIllegalInstruction, std::move(text), caller);
  }
}

std::string describe_mbarrier(const void* barrier) {
  const Block* block = scheduler().block_of_shared(barrier);
  const auto offset = static_cast<const std::byte*>(barrier) - block->arena.data();
  const State state = unpack(*static_cast<const std::uint64_t*>(barrier));
  return fmt::format(" of {}, now in a phase of parity {} with {} arrivals and {} bytes to come",
                     scheduler().layout().describe(static_cast<std::size_t>(offset)), state.parity, state.pending,
                     state.bytes);
}

}  // namespace roap::simt

namespace roap::ptx {

using simt::Caller;
using simt::scheduler;

void mbarrier_init(std::uint64_t* barrier, std::uint32_t arrivals, Caller caller) {
  simt::checked_shared(barrier, 8, 8, "mbarrier_init", caller);
  if (arrivals == 0 || arrivals > simt::kCountMask) {
    scheduler().fail(cudaErrorIllegalInstruction, fmt::format("mbarrier_init for {} arrivals", arrivals), caller);
  }
  *barrier = simt::pack({0, arrivals, arrivals, 0});
}

void mbarrier_fence_init(Caller) {}

void mbarrier_arrive(std::uint64_t* barrier, Caller caller) {
  simt::check_mbarrier(barrier, "mbarrier_arrive", caller);
  simt::arrive(simt::own_block(), barrier, 0);
}

void mbarrier_arrive_expect_tx(std::uint64_t* barrier, std::uint32_t bytes, Caller caller) {
  simt::check_mbarrier(barrier, "mbarrier_arrive_expect_tx", caller);
  simt::arrive(simt::own_block(), barrier, bytes);
}

void mbarrier_arrive_remote(std::uint64_t* barrier, std::uint32_t rank, Caller caller) {
  auto* remote = static_cast<std::uint64_t*>(map_shared_address(barrier, rank, caller));
  simt::check_mbarrier(remote, "mbarrier_arrive_remote", caller);
  simt::arrive(*scheduler().cluster()[rank], remote, 0);
}

bool mbarrier_try_wait(std::uint64_t* barrier, std::uint32_t parity, Caller caller) {
  simt::check_mbarrier(barrier, "mbarrier_try_wait", caller);
  if (!simt::completed(barrier, parity)) scheduler().poll({"mbarrier_try_wait", caller, "parity", parity, barrier});
  return simt::completed(barrier, parity);
}

void mbarrier_wait(std::uint64_t* barrier, std::uint32_t parity, Caller caller) {
  simt::check_mbarrier(barrier, "mbarrier_wait", caller);
  if (simt::completed(barrier, parity)) return;
  scheduler().current().operand = barrier;
  simt::own_block().mbarrier_waiters.push_back(&scheduler().current());
  scheduler().wait({"mbarrier_wait", caller, "parity", parity, barrier});
}

}  // namespace roap::ptx
