#include <algorithm>
#include <cstring>

#include "kernels/common/ptx/cp_async.h"
#include "tests/simt/collective.h"

// cp.async. The target holds poison from the start of a copy until the wait that covers it, so that a missing wait
// shows, and so does a copy into memory that others still read.

namespace roap::ptx {

using simt::Caller;
using simt::scheduler;

namespace {

void start(const char* operation, void* shared, const void* global, unsigned bytes, int valid_bytes,
           const Caller& caller) {
  if (valid_bytes < 0 || valid_bytes > static_cast<int>(bytes)) {
    scheduler().fail(cudaErrorIllegalInstruction, "cp_async of fewer than 0 or more bytes than it copies", caller);
  }
  simt::checked_shared(shared, bytes, bytes, operation, caller);
  simt::check_global(global, static_cast<std::size_t>(valid_bytes), bytes, operation, caller);
  std::memset(shared, 0xff, bytes);
  scheduler().counts().copied_bytes += static_cast<unsigned>(valid_bytes);
  simt::Thread& self = scheduler().current();
  self.copies.push_back({shared, global, bytes, static_cast<unsigned>(valid_bytes), self.open_group});
}

}  // namespace

void cp_async_16(void* shared, const void* global, int valid_bytes, Caller caller) {
  start("cp_async_16", shared, global, 16, valid_bytes, caller);
}
void cp_async_8(void* shared, const void* global, int valid_bytes, Caller caller) {
  start("cp_async_8", shared, global, 8, valid_bytes, caller);
}
void cp_async_4(void* shared, const void* global, int valid_bytes, Caller caller) {
  start("cp_async_4", shared, global, 4, valid_bytes, caller);
}

void cp_async_commit(Caller) { ++scheduler().current().open_group; }

void cp_async_wait(int pending, Caller) {
  simt::Thread& self = scheduler().current();
  // Groups are in the order of their numbers; the copies since the last commit belong to none.
  const auto landed = std::find_if(self.copies.begin(), self.copies.end(), [&](const simt::AsyncCopy& copy) {
    return copy.group + static_cast<unsigned>(pending) >= self.open_group;
  });
  std::for_each(self.copies.begin(), landed, [](const simt::AsyncCopy& copy) {
    std::memset(copy.shared, 0, copy.bytes);
    if (copy.valid_bytes > 0) std::memcpy(copy.shared, copy.global, copy.valid_bytes);
  });
  self.copies.erase(self.copies.begin(), landed);
}

}  // namespace roap::ptx
