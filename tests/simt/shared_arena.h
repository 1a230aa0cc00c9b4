#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// Shared memory of blocks. All blocks of a launch have the same layout: 1024 bytes of guard, the dynamic memory, then
// the static arrays in the order in which they are first met, each after a guard zone and with no better alignment than
// it asks for. Fresh arrays hold 0xff bytes (NaN), guard zones a pattern that is NaN too; what lies behind cannot be
// accessed at all.

namespace roap::simt {

inline constexpr std::size_t kMaxSharedBytes = 227 * 1024;       ///< dynamic and static, on an H100
inline constexpr std::size_t kMaxStaticSharedBytes = 48 * 1024;  ///< static
inline constexpr std::size_t kArenaBytes = 256 * 1024;           ///< what the addresses in descriptors can reach
inline constexpr std::size_t kDynamicOffset = 1024;

struct SharedRegion {
  const char* name;
  std::size_t offset, bytes;
};

class SharedLayout {
 public:
  SharedLayout() = default;
  explicit SharedLayout(std::size_t dynamic_bytes);

  /// Gives a static array its place. Returns why there is none left, or an empty string.
  std::string add(SharedArray& array);
  [[nodiscard]] const std::vector<SharedRegion>& regions() const { return regions_; }
  /// Of all regions together.
  [[nodiscard]] std::size_t bytes() const;
  /// The region that contains these bytes, or null.
  [[nodiscard]] const SharedRegion* find(std::size_t offset, std::size_t bytes) const;
  /// Bytes that a block may access, guard zones included: whole pages.
  [[nodiscard]] std::size_t end() const { return end_; }
  /// "tile + 4", or what the offset lies behind.
  [[nodiscard]] std::string describe(std::size_t offset) const;

 private:
  std::vector<SharedRegion> regions_;
  std::size_t static_bytes_ = 0;
  std::size_t end_ = 0;
};

/// Shared memory of one block.
class SharedArena {
 public:
  SharedArena();
  SharedArena(const SharedArena&) = delete;
  ~SharedArena();

  [[nodiscard]] std::byte* data() const { return data_; }
  /// Fills all regions and guard zones for a new block.
  void refresh(const SharedLayout& layout);
  /// Fills the region that was added last.
  void append(const SharedLayout& layout);
  /// Which guard zone was written to, if any.
  [[nodiscard]] std::optional<std::string> damage(const SharedLayout& layout) const;
  /// Whether the address lies in the arena or in the pages behind it that nobody may access.
  [[nodiscard]] bool reserves(const void* address) const;

 private:
  /// Makes exactly the first `bytes` accessible, whole pages; returns how many were before.
  std::size_t open(std::size_t bytes);
  void poison_guards(const SharedLayout& layout);

  std::byte* data_ = nullptr;
  std::size_t accessible_ = 0;
};

}  // namespace roap::simt
