#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <source_location>
#include <vector>

// State of wgmma: products in flight, and how the asynchronous proxy sees shared memory.

namespace roap::simt {

inline constexpr unsigned kWarpgroupThreads = 128;

/// Accumulators [64][columns] of products in flight. The threads' registers hold poison meanwhile.
struct Accumulators {
  std::array<float*, kWarpgroupThreads> registers;
  unsigned columns;
  std::vector<float> values;
  unsigned products = 0;  ///< in flight
};

struct Product {
  Accumulators* accumulators;
  std::vector<float> a_values;  ///< A [16][64], k first; empty until it is read, if it has a descriptor
  std::uint64_t a, b;           ///< descriptors
  bool mn_major;                ///< both operands
  bool accumulate;
  std::source_location caller;
};

struct Warpgroup {
  unsigned arrived = 0;  ///< threads at the operation that is being assembled
  const char* operation = nullptr;
  std::array<std::uint32_t, 4> waiting{};  ///< lanes, by warp
  bool fenced = false;                     ///< wgmma_fence since the last wait
  std::vector<std::unique_ptr<Accumulators>> accumulators;
  std::vector<Product> open;                 ///< not yet committed
  std::vector<std::vector<Product>> groups;  ///< committed, oldest first
};

/// What bulk copies and wgmma see of a block's shared memory. Ordinary stores are not visible to them without a fence:
/// where the memory differs from what was last seen and no fence was executed since, one is missing.
class AsyncView {
 public:
  void clear();
  /// Some thread executed fence.proxy.async.
  void fence() { ++fences_; }
  /// A bulk copy, or the emulator, wrote these bytes.
  void written(const std::byte* arena, std::size_t offset, std::size_t bytes);
  /// An operation reads 16 bytes at a multiple of 16; false if stores without a fence changed them.
  [[nodiscard]] bool readable(const std::byte* arena, std::size_t offset);

 private:
  void open();

  std::vector<std::byte> seen_;        ///< empty until first used
  std::vector<std::uint32_t> fenced_;  ///< for each 16 bytes, the number of fences when they were last seen
  std::uint32_t fences_ = 0;
};

}  // namespace roap::simt
