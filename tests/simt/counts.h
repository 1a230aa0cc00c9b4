#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace roap::simt {

/// What all launches of one kernel did since the last reset. Bytes of loads and stores are those that the threads asked
/// for; caches, and how the accesses of a warp combine, are not modelled.
struct KernelCounts {
  std::uint64_t launches = 0, blocks = 0, threads = 0;
  std::uint64_t barriers = 0;      ///< of a block, and of a cluster: how often one opened
  std::uint64_t mma = 0;           ///< instructions of a warp: mma.sync
  std::uint64_t wgmma = 0;         ///< instructions of a warpgroup
  std::uint64_t multiplies = 0;    ///< multiply-adds of both
  std::uint64_t copied_bytes = 0;  ///< read from global memory by cp.async and bulk copies
  std::uint64_t loaded_bytes = 0;  ///< read from global memory by plain loads, and
  std::uint64_t stored_bytes =
      0;  ///< written by plain stores: of code compiled by roap_count_accesses() (cmake/simt.cmake)
  std::size_t shared_bytes = 0;  ///< of a block, dynamic and static: the most
  unsigned block_threads = 0;    ///< of a block: the most
};

/// A kernel: the name it is launched by, and its function, of which a template has several.
using KernelId = std::pair<std::string, const void*>;

[[nodiscard]] const std::map<KernelId, KernelCounts>& kernel_counts();
void reset_kernel_counts();

}  // namespace roap::simt
