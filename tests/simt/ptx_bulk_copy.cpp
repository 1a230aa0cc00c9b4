#include "kernels/common/ptx/bulk_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/common/ptx/fence.h"
#include "tests/simt/collective.h"
#include "tests/simt/tensor_map.h"

// Bulk copies. The target holds poison from the start of a copy until it lands, at a random later time.

namespace roap::simt {

namespace {

/// A place in the shared memory of one block and the mbarrier that counts what lands there.
struct Target {
  Block* block;
  std::size_t offset;
  std::uint64_t* barrier;

  [[nodiscard]] std::byte* data() const { return block->arena.data() + offset; }
};

/// Pointers of the current block, moved to another block of its cluster.
Target target_in(Block& block, const void* shared, const std::uint64_t* barrier) {
  const std::byte* own = scheduler().current().warp->block->arena.data();
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(shared) - own);
  const auto barrier_offset = reinterpret_cast<const std::byte*>(barrier) - own;
  return {&block, offset, reinterpret_cast<std::uint64_t*>(block.arena.data() + barrier_offset)};
}

void set_poison(const Target& target, std::uint32_t bytes) {
  std::memset(target.data(), 0xff, bytes);
  target.block->async_view.written(target.block->arena.data(), target.offset, bytes);
}

void landed(const Target& target, std::uint32_t bytes) {
  if (target.block->live == 0) {
    scheduler().fail(cudaErrorIllegalAddress,
                     fmt::format("a bulk copy landed in block {} of the cluster, which has ended", target.block->rank),
                     Caller{});
  }
  target.block->async_view.written(target.block->arena.data(), target.offset, bytes);
  complete_mbarrier_bytes(*target.block, target.barrier, bytes);
}

/// Writes the box of a map that begins at (row, column), 16 bytes at a time; what lies outside of the matrix is zero.
void write_box(const TensorMap& map, std::int64_t row, std::int64_t column, std::byte* arena, std::size_t offset) {
  const std::uint32_t columns_of_piece = 16 / map.element_bytes, pieces = map.box_columns / columns_of_piece;
  for (std::uint32_t r = 0; r < map.box_rows; ++r) {
    for (std::uint32_t p = 0; p < pieces; ++p) {
      std::size_t place = offset + (std::size_t{r} * pieces + p) * 16;
      if (map.swizzled != 0) place ^= (place >> 7 & 7) << 4;
      std::byte piece[16] = {};
      for (std::uint32_t i = 0; i < columns_of_piece; ++i) {
        const std::int64_t y = row + r, x = column + std::int64_t{p} * columns_of_piece + i;
        if (y < 0 || x < 0 || y >= static_cast<std::int64_t>(map.rows) || x >= static_cast<std::int64_t>(map.columns)) {
          continue;
        }
        std::memcpy(
            piece + i * map.element_bytes,
            map.data + static_cast<std::size_t>(y) * map.row_bytes + static_cast<std::size_t>(x) * map.element_bytes,
            map.element_bytes);
      }
      std::memcpy(arena + place, piece, sizeof piece);
    }
  }
}

/// Of the box that begins at (row, column): what lies in the matrix.
std::uint64_t bytes_inside(const TensorMap& map, std::int64_t row, std::int64_t column) {
  const auto inside = [](std::int64_t begin, std::uint32_t count, std::uint64_t size) {
    const std::int64_t end = std::min(begin + std::int64_t{count}, static_cast<std::int64_t>(size));
    return static_cast<std::uint64_t>(std::max<std::int64_t>(end - std::max<std::int64_t>(begin, 0), 0));
  };
  return inside(row, map.box_rows, map.rows) * inside(column, map.box_columns, map.columns) * map.element_bytes;
}

TensorMap checked_map(const CUtensorMap* map, const Caller& caller) {
  TensorMap kept{};
  std::memcpy(&kept, map->opaque, sizeof kept);
  if (kept.mark != kTensorMapMark) {
    scheduler().fail(cudaErrorIllegalInstruction, "the tensor map was not made by cuTensorMapEncodeTiled", caller);
  }
  return kept;
}

/// Starts a copy of `bytes` to the same place of every block whose bit is set; write(target) lands it in one.
template <class Write>
void start_copies(const char* operation, void* shared, std::uint32_t bytes, std::size_t alignment,
                  std::uint64_t* barrier, std::uint32_t blocks, const Caller& caller, const Write& write) {
  checked_shared(shared, bytes, alignment, operation, caller);
  checked_shared(barrier, 8, 8, operation, caller);
  const std::vector<Block*>& cluster = scheduler().cluster();
  if (blocks == 0 || blocks >> cluster.size() != 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} into blocks {:#x} of a cluster of {}", operation, blocks, cluster.size()), caller);
  }
  for_lanes(blocks, [&](unsigned rank) {
    const Target target = target_in(*cluster[rank], shared, barrier);
    check_mbarrier(target.barrier, operation, caller);
    if (target.block->live == 0) {
      scheduler().fail(cudaErrorIllegalAddress, fmt::format("{} into block {}, which has ended", operation, rank),
                       caller);
    }
    set_poison(target, bytes);
    scheduler().defer([write, target, bytes] {
      write(target);
      landed(target, bytes);
    });
  });
}

void start_bulk_copy(const char* operation, void* shared, const void* global, std::uint32_t bytes,
                     std::uint64_t* barrier, std::uint32_t blocks, const Caller& caller) {
  if (bytes == 0 || bytes % 16 != 0) {
    scheduler().fail(cudaErrorIllegalInstruction,
                     fmt::format("{} of {} bytes: must be a multiple of 16", operation, bytes), caller);
  }
  check_global(global, bytes, 16, operation, caller);
  scheduler().counts().copied_bytes += bytes;
  start_copies(operation, shared, bytes, 16, barrier, blocks, caller,
               [global, bytes](const Target& target) { std::memcpy(target.data(), global, bytes); });
}

void start_tensor_copy(const char* operation, void* shared, const CUtensorMap* map, int row, int column,
                       std::uint64_t* barrier, std::uint32_t blocks, const Caller& caller) {
  const TensorMap kept = checked_map(map, caller);
  scheduler().counts().copied_bytes += bytes_inside(kept, row, column);
  start_copies(operation, shared, kept.box_rows * kept.box_columns * kept.element_bytes, 128, barrier, blocks, caller,
               [kept, row, column](const Target& target) {
                 write_box(kept, row, column, target.block->arena.data(), target.offset);
               });
}

/// The bit of the block that runs.
std::uint32_t own_block() { return 1u << scheduler().current().warp->block->rank; }

}  // namespace

void AsyncView::clear() {
  seen_.clear();
  fenced_.clear();
  fences_ = 0;
}

void AsyncView::open() {
  if (!seen_.empty()) return;
  seen_.assign(kArenaBytes, std::byte{0xff});  // as fresh arrays
  fenced_.assign(kArenaBytes / 16, 0);
}

void AsyncView::written(const std::byte* arena, std::size_t offset, std::size_t bytes) {
  open();
  std::memcpy(seen_.data() + offset, arena + offset, bytes);
  std::fill_n(fenced_.begin() + static_cast<std::ptrdiff_t>(offset / 16), (bytes + 15) / 16, fences_);
}

bool AsyncView::readable(const std::byte* arena, std::size_t offset) {
  open();
  if (std::memcmp(seen_.data() + offset, arena + offset, 16) == 0) return true;
  if (fenced_[offset / 16] == fences_) return false;
  written(arena, offset, 16);
  return true;
}

}  // namespace roap::simt

namespace roap::ptx {

using simt::Caller;
using simt::scheduler;

void bulk_copy(void* shared, const void* global, std::uint32_t bytes, std::uint64_t* barrier, Caller caller) {
  simt::start_bulk_copy("bulk_copy", shared, global, bytes, barrier, simt::own_block(), caller);
}

void bulk_copy_multicast(void* shared, const void* global, std::uint32_t bytes, std::uint64_t* barrier,
                         std::uint16_t blocks, Caller caller) {
  simt::start_bulk_copy("bulk_copy_multicast", shared, global, bytes, barrier, blocks, caller);
}

void tensor_copy_2d(void* shared, const CUtensorMap* map, int row, int column, std::uint64_t* barrier, Caller caller) {
  simt::start_tensor_copy("tensor_copy_2d", shared, map, row, column, barrier, simt::own_block(), caller);
}

void tensor_copy_2d_multicast(void* shared, const CUtensorMap* map, int row, int column, std::uint64_t* barrier,
                              std::uint16_t blocks, Caller caller) {
  simt::start_tensor_copy("tensor_copy_2d_multicast", shared, map, row, column, barrier, blocks, caller);
}

void prefetch_tensor_map(const CUtensorMap*) {}

void fence_proxy_async(Caller) { scheduler().current().warp->block->async_view.fence(); }

}  // namespace roap::ptx
