#include "tests/simt/counts.h"

#include <algorithm>
#include <array>

#include "tests/simt/device_memory.h"
#include "tests/simt/scheduler.h"

// Counts of what kernels do. Plain loads and stores are found by the compiler: with -fsanitize=thread it calls the
// functions at the end, ThreadSanitizer's, before every access to memory that may be more than a local variable. That
// sanitizer's library is not linked: these are here in its place.

namespace roap::simt {

namespace {

std::map<KernelId, KernelCounts> all_counts;

/// Whether 256 bytes are device memory, of which all allocations are whole multiples: remembered for one launch,
/// because looking it up takes longer than the access.
struct Line {
  std::uintptr_t number = 0;
  bool device = false;
};
std::array<Line, 1 << 12> lines;

bool is_device_memory(const void* address) {
  constexpr int kLineBits = 8;
  const auto number = reinterpret_cast<std::uintptr_t>(address) >> kLineBits;
  Line& line = lines[number % lines.size()];
  if (line.number != number) line = {number, memory_kind(address) == MemoryKind::device};
  return line.device;
}

void count_access(const void* address, std::size_t bytes, std::uint64_t KernelCounts::*counter) {
  if (scheduler().running() && is_device_memory(address)) scheduler().counts().*counter += bytes;
}
void count_load(const void* address, std::size_t bytes) { count_access(address, bytes, &KernelCounts::loaded_bytes); }
void count_store(const void* address, std::size_t bytes) { count_access(address, bytes, &KernelCounts::stored_bytes); }

}  // namespace

const std::map<KernelId, KernelCounts>& kernel_counts() { return all_counts; }
void reset_kernel_counts() { all_counts.clear(); }

KernelCounts& Scheduler::start_counting(const KernelLaunch& launch) {
  lines.fill({});
  KernelCounts& c = all_counts[{launch.name, launch.kernel}];
  const std::uint64_t blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  ++c.launches;
  c.blocks += blocks;
  c.threads += blocks * threads;
  c.block_threads = std::max(c.block_threads, threads);
  return c;
}

}  // namespace roap::simt

using roap::simt::count_load, roap::simt::count_store;

extern "C" {

#define ROAP_SIMT_ACCESS(bytes)                                          \
  void __tsan_read##bytes(void* p) { count_load(p, bytes); }             \
  void __tsan_write##bytes(void* p) { count_store(p, bytes); }           \
  void __tsan_unaligned_read##bytes(void* p) { count_load(p, bytes); }   \
  void __tsan_unaligned_write##bytes(void* p) { count_store(p, bytes); } \
  void __tsan_volatile_read##bytes(void* p) { count_load(p, bytes); }    \
  void __tsan_volatile_write##bytes(void* p) { count_store(p, bytes); }  \
  static_assert(bytes <= 16)
ROAP_SIMT_ACCESS(1);
ROAP_SIMT_ACCESS(2);
ROAP_SIMT_ACCESS(4);
ROAP_SIMT_ACCESS(8);
ROAP_SIMT_ACCESS(16);
#undef ROAP_SIMT_ACCESS

void __tsan_read_range(void* p, std::size_t bytes) { count_load(p, bytes); }
void __tsan_write_range(void* p, std::size_t bytes) { count_store(p, bytes); }
// Atomic operations of host code between the kernels.
unsigned char __tsan_atomic8_load(const volatile unsigned char* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_fetch_add(volatile int* p, int value, int) {
  return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_compare_exchange_strong(volatile int* p, int* expected, int value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0;
}
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

}  // extern "C"
