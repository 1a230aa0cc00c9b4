#include "engine/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/device.h"

namespace roap {

namespace {

std::size_t align(std::size_t bytes) { return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

std::vector<MemoryPlan::Block> tensor_lifetimes(const Graph& graph, DeviceKind device) {
  const int last = static_cast<int>(graph.nodes().size());
  std::vector<MemoryPlan::Block> blocks;
  for (const TensorInfo& info : graph.tensors()) {
    MemoryPlan::Block block{info.name, 0, 0, last, -1};
    if (info.storage == Storage::input || info.storage == Storage::activation) {
      block.bytes = static_cast<std::size_t>(info.spec.shape.count()) * element_size(device, info.spec.dtype);
    }
    if (info.storage == Storage::input) block.first_node = 0;
    if (info.keep) block.last_node = last;
    blocks.push_back(block);
  }
  for (int n = 0; n < last; ++n) {
    const Node& node = graph.nodes()[static_cast<std::size_t>(n)];
    for (const auto* ids : {&node.inputs, &node.outputs}) {
      for (const TensorId id : *ids) {
        if (!id.present()) continue;
        MemoryPlan::Block& block = blocks[static_cast<std::size_t>(id.index)];
        block.first_node = std::min(block.first_node, n);
        block.last_node = std::max(block.last_node, n);
      }
    }
  }
  for (MemoryPlan::Block& block : blocks) {
    if (block.last_node < 0) block.bytes = 0;  // never used
  }
  return blocks;
}

/// Lowest offset where `block` overlaps no placed block that is alive at the same time.
std::size_t lowest_free_offset(const MemoryPlan::Block& block, std::size_t bytes,
                               const std::vector<std::pair<MemoryPlan::Block*, std::size_t>>& placed) {
  std::vector<std::pair<std::size_t, std::size_t>> busy;
  for (const auto& [other, other_bytes] : placed) {
    if (other->first_node <= block.last_node && block.first_node <= other->last_node) {
      busy.emplace_back(other->offset, other->offset + other_bytes);
    }
  }
  std::sort(busy.begin(), busy.end());
  std::size_t offset = 0;
  for (const auto& [begin, end] : busy) {
    if (offset + bytes <= begin) break;
    offset = std::max(offset, end);
  }
  return offset;
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph, DeviceKind device, const std::vector<std::size_t>& workspace_bytes,
                       const PlanOptions& options) {
  MemoryPlan plan;
  plan.tensors = tensor_lifetimes(graph, device);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const int node = static_cast<int>(n);
    plan.workspaces.push_back({graph.nodes()[n].name + " (workspace)", 0, workspace_bytes[n], node, node});
  }
  std::vector<MemoryPlan::Block*> order;
  for (auto* list : {&plan.tensors, &plan.workspaces}) {
    for (MemoryPlan::Block& block : *list) {
      if (block.bytes > 0) order.push_back(&block);
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->bytes > b->bytes; });

  std::vector<std::pair<MemoryPlan::Block*, std::size_t>> placed;
  for (MemoryPlan::Block* block : order) {
    const std::size_t bytes = align(block->bytes + options.guard_bytes);
    block->offset = options.share ? lowest_free_offset(*block, bytes, placed) : plan.unshared_bytes;
    placed.emplace_back(block, bytes);
    plan.unshared_bytes += bytes;
    plan.arena_bytes = std::max(plan.arena_bytes, block->offset + bytes);
  }
  return plan;
}

namespace {

/// Blocks of the arena, largest first.
std::vector<const MemoryPlan::Block*> blocks_by_size(const MemoryPlan& plan) {
  std::vector<const MemoryPlan::Block*> blocks;
  for (const auto* list : {&plan.tensors, &plan.workspaces}) {
    for (const MemoryPlan::Block& block : *list) {
      if (block.bytes > 0) blocks.push_back(&block);
    }
  }
  std::stable_sort(blocks.begin(), blocks.end(), [](const auto* a, const auto* b) { return a->bytes > b->bytes; });
  return blocks;
}

}  // namespace

const MemoryPlan::Block& MemoryPlan::largest_block() const { return *blocks_by_size(*this).at(0); }

std::string MemoryPlan::text(std::size_t rows) const {
  const std::vector<const Block*> blocks = blocks_by_size(*this);
  constexpr double kMiB = 1 << 20;
  std::string text =
      fmt::format("arena {:.1f} MiB for {} blocks ({:.1f} MiB without sharing)\n",
                  static_cast<double>(arena_bytes) / kMiB, blocks.size(), static_cast<double>(unshared_bytes) / kMiB);
  text += fmt::format("{:>12} {:>12} {:>6} {:>6}  {}\n", "bytes", "offset", "from", "to", "block");
  for (std::size_t i = 0; i < std::min(rows, blocks.size()); ++i) {
    text += fmt::format("{:>12} {:>12} {:>6} {:>6}  {}\n", blocks[i]->bytes, blocks[i]->offset, blocks[i]->first_node,
                        blocks[i]->last_node, blocks[i]->name);
  }
  if (blocks.size() > rows) text += fmt::format("... and {} smaller blocks\n", blocks.size() - rows);
  return text;
}

}  // namespace roap
