#include "tests/simt/shared_arena.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "tests/simt/sanitizer.h"

namespace roap::simt {

namespace {

constexpr std::size_t kGuardBytes = 64;  // at least, behind every region
constexpr std::size_t kPage = 4096;
constexpr std::size_t kReservedBytes = std::size_t{64} << 20;  // wild indices end here
constexpr std::uint32_t kGuardWord = 0x7fc17fc1;               // NaN as float and as two bf16

std::size_t round_up(std::size_t x, std::size_t multiple) { return (x + multiple - 1) / multiple * multiple; }

/// What a guard zone holds, from any offset that is a multiple of four on.
const std::vector<std::uint32_t>& guard_pattern() {
  static const std::vector<std::uint32_t> pattern(4 * kPage / sizeof kGuardWord, kGuardWord);
  return pattern;
}
const std::byte* guard_pattern_at(std::size_t offset) {
  return reinterpret_cast<const std::byte*>(guard_pattern().data()) + offset % sizeof kGuardWord;
}

/// Calls zone(begin, end, region before it or null) for every guard zone.
template <class Zone>
void for_guard_zones(const SharedLayout& layout, Zone zone) {
  std::size_t begin = 0;
  const SharedRegion* before = nullptr;
  for (const SharedRegion& region : layout.regions()) {
    zone(begin, region.offset, before);
    begin = region.offset + region.bytes;
    before = &region;
  }
  zone(begin, layout.end(), before);
}

}  // namespace

SharedLayout::SharedLayout(std::size_t dynamic_bytes) {
  if (dynamic_bytes > 0) regions_.push_back({"dynamic shared memory", kDynamicOffset, dynamic_bytes});
  if (dynamic_bytes > 0) end_ = round_up(kDynamicOffset + dynamic_bytes + kGuardBytes, kPage);
}

std::string SharedLayout::add(SharedArray& array) {
  const std::size_t dynamic_bytes =
      !regions_.empty() && regions_.front().offset == kDynamicOffset ? regions_.front().bytes : 0;
  static_bytes_ += array.bytes;
  if (static_bytes_ > kMaxStaticSharedBytes) {
    return fmt::format("{} bytes of static shared memory with array {}; at most {} are allowed, use dynamic memory",
                       static_bytes_, array.name, kMaxStaticSharedBytes);
  }
  if (static_bytes_ + dynamic_bytes > kMaxSharedBytes) {
    return fmt::format("{} bytes of static (with array {}) and {} of dynamic shared memory; at most {} are allowed",
                       static_bytes_, array.name, dynamic_bytes, kMaxSharedBytes);
  }
  const std::size_t after = regions_.empty() ? kDynamicOffset : regions_.back().offset + regions_.back().bytes;
  std::size_t offset = round_up(after + kGuardBytes, array.alignment);
  // No better aligned than asked for, so that an access that needs more fails.
  if (offset % (2 * array.alignment) == 0) offset += array.alignment;
  regions_.push_back({array.name, offset, array.bytes});
  end_ = round_up(offset + array.bytes + kGuardBytes, kPage);
  array.offset = offset;
  return end_ <= kArenaBytes ? std::string() : fmt::format("too many shared arrays for the emulator ({})", array.name);
}

std::size_t SharedLayout::bytes() const {
  std::size_t bytes = 0;
  for (const SharedRegion& region : regions_) bytes += region.bytes;
  return bytes;
}

const SharedRegion* SharedLayout::find(std::size_t offset, std::size_t bytes) const {
  for (const SharedRegion& region : regions_) {
    if (offset >= region.offset && offset + bytes <= region.offset + region.bytes) return &region;
  }
  return nullptr;
}

std::string SharedLayout::describe(std::size_t offset) const {
  const SharedRegion* nearest = nullptr;
  for (const SharedRegion& region : regions_) {
    if (offset >= region.offset) nearest = &region;
  }
  if (nearest == nullptr) return "shared memory before the first array";
  const std::size_t inside = offset - nearest->offset;
  if (inside < nearest->bytes) return fmt::format("{} + {}", nearest->name, inside);
  return fmt::format("{} bytes behind the {} bytes of {}", inside - nearest->bytes, nearest->bytes, nearest->name);
}

SharedArena::SharedArena() {
  void* pages = mmap(nullptr, kReservedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  // The middle of the reserved addresses, so that negative indices fail, too.
  data_ = static_cast<std::byte*>(pages) + kReservedBytes / 2;
}

SharedArena::~SharedArena() {
  unpoison(data_, accessible_);
  munmap(data_ - kReservedBytes / 2, kReservedBytes);
}

bool SharedArena::reserves(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  return p >= data_ - kReservedBytes / 2 && p < data_ + kReservedBytes / 2;
}

std::size_t SharedArena::open(std::size_t bytes) {
  unpoison(data_, std::max(bytes, accessible_));
  if (bytes > accessible_) {
    mprotect(data_ + accessible_, bytes - accessible_, PROT_READ | PROT_WRITE);
  } else if (bytes < accessible_) {
    mprotect(data_ + bytes, accessible_ - bytes, PROT_NONE);
  }
  return std::exchange(accessible_, bytes);
}

void SharedArena::poison_guards(const SharedLayout& layout) {
  for_guard_zones(
      layout, [this](std::size_t begin, std::size_t end, const SharedRegion*) { poison(data_ + begin, end - begin); });
}

void SharedArena::refresh(const SharedLayout& layout) {
  open(layout.end());
  for (const SharedRegion& region : layout.regions()) std::memset(data_ + region.offset, 0xff, region.bytes);
  for_guard_zones(layout, [this](std::size_t begin, std::size_t end, const SharedRegion*) {
    std::memcpy(data_ + begin, guard_pattern_at(begin), end - begin);
  });
  poison_guards(layout);
}

void SharedArena::append(const SharedLayout& layout) {
  const std::size_t before = open(layout.end());
  const SharedRegion& region = layout.regions().back();
  for (std::size_t page = before; page < accessible_; page += kPage) {
    std::memcpy(data_ + page, guard_pattern().data(), kPage);
  }
  std::memset(data_ + region.offset, 0xff, region.bytes);
  poison_guards(layout);
}

std::optional<std::string> SharedArena::damage(const SharedLayout& layout) const {
  unpoison(data_, accessible_);
  std::optional<std::string> found;
  for_guard_zones(layout, [&](std::size_t begin, std::size_t end, const SharedRegion* before) {
    if (found || std::memcmp(data_ + begin, guard_pattern_at(begin), end - begin) == 0) return;
    std::size_t at = begin;
    while (data_[at] == guard_pattern_at(at)[0]) ++at;
    found = before == nullptr ? fmt::format("shared memory was written {} bytes before the first array", end - at)
                              : fmt::format("shared memory was written {}", layout.describe(at));
  });
  return found;
}

}  // namespace roap::simt
