#pragma once

#include <algorithm>

#include "kernels/common/launch.h"
#include "kernels/common/reduce.cuh"

// Programs of any size, run on tiles of pairs: a thread owns a pair and one column of its block's tile, rows
// [kTilePairs] in the workspace, which is small enough to stay in the cache.

namespace roap::cuda {

inline constexpr int kTilePairs = 128;  ///< and threads of a block

/// Blocks that share `items` out when the tile of each has `rows` rows: a few for every multiprocessor, fewer where
/// tiles are large. Results must not depend on it.
inline std::int64_t tile_blocks(std::int64_t items, std::int64_t rows) {
  constexpr std::int64_t kMostBlocks = 4 * 132, kMostFloats = std::int64_t{1} << 23;
  return std::min(items, std::clamp<std::int64_t>(kMostFloats / (rows * kTilePairs), 1, kMostBlocks));
}
inline std::size_t tile_bytes(std::int64_t blocks, std::int64_t rows) {
  return sizeof(float) * static_cast<std::size_t>(blocks * rows * kTilePairs);
}

/// Adds to the gradients dz [count] of a task's weights what the tile's pairs contribute, or writes it where `add` is
/// false. term(i, p): pair p's part of weight i; a pair that does not exist has the part 0. A warp owns a weight at a
/// time: pairs of a lane in order, lanes in a fixed tree.
template <class Term>
__device__ __forceinline__ void write_tile_gradients(std::int64_t count, float* dz, bool add, const Term& term) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  for (std::int64_t i = static_cast<int>(threadIdx.x) / kWarpSize; i < count; i += kTilePairs / kWarpSize) {
    float sum = 0;
    for (int p = lane; p < kTilePairs; p += kWarpSize) sum += term(i, p);
    sum = warp_sum(sum);
    if (lane == 0) dz[i] = add ? dz[i] + sum : sum;
  }
}

}  // namespace roap::cuda
