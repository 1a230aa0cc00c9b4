#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/graph.h"

namespace roap {

/// Where each activation and workspace lies in the one arena.
struct MemoryPlan {
  struct Block {
    std::string name;
    std::size_t offset = 0, bytes = 0;
    int first_node = 0, last_node = 0;  ///< the block is alive from the start of first_node to the end of last_node
  };
  std::vector<Block> tensors;     ///< one per graph tensor; 0 bytes where the tensor is not in the arena
  std::vector<Block> workspaces;  ///< one per node; 0 bytes where it needs none
  std::size_t arena_bytes = 0;
  std::size_t unshared_bytes = 0;  ///< what the arena would take if nothing shared memory

  [[nodiscard]] const Block& largest_block() const;
  /// Table of all blocks, largest first, with the node that made each.
  [[nodiscard]] std::string text(std::size_t rows = 40) const;
};

struct PlanOptions {
  bool share = true;            ///< let blocks that are never alive together use the same memory
  std::size_t guard_bytes = 0;  ///< untouched bytes behind every block (tests fill and check them)
};

/// Liveness over the node order, then greedy best fit, largest block first. Deterministic.
MemoryPlan plan_memory(const Graph& graph, DeviceKind device, const std::vector<std::size_t>& workspace_bytes,
                       const PlanOptions& options = {});

}  // namespace roap
