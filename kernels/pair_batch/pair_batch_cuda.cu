#include "kernels/common/launch.h"
#include "kernels/pair_batch/pair_batch.h"

namespace roap::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kTasksPerBlock = 16;

/// Computes  index and y of the step's pairs (pair_batch.h)
/// Shapes    key [4], class_begin [classes + 1], class_images, tables [tasks, rows], index [pairs symbols],
///           y [tasks, pairs]
/// Mapping   a block owns 128 pairs of 16 tasks, a thread one pair; every block draws its pairs again, the first ones
///           of a pair write index
/// Memory    one element of each task's table per pair (L2), y once
/// Numerics  copies
/// Limits    none
__global__ void __launch_bounds__(kThreads)
    pair_batch_kernel(PairBatchDims d, std::int64_t rows, const std::uint32_t* key, const std::int32_t* class_begin,
                      const std::int32_t* class_images, const float* tables, std::int32_t* index, float* y) {
  const std::int64_t b = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (b >= d.pairs) return;
  const RandomKey words{key[0], key[1], key[2], key[3]};
  std::int64_t row = 0;
  for (std::int64_t p = b * d.symbols; p < (b + 1) * d.symbols; ++p) {
    const PairImage drawn = draw_pair_image(words, p, d.classes, class_begin, class_images);
    if (blockIdx.y == 0) index[p] = drawn.image;
    row = row * d.classes + drawn.label;
  }
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kTasksPerBlock;
#pragma unroll 8
  for (int i = 0; i < kTasksPerBlock; ++i) {
    const std::int64_t t = first + i;
    if (t < d.tasks) y[t * d.pairs + b] = __ldg(tables + t * rows + row);
  }
}

}  // namespace

void pair_batch(const PairBatchDims& d, const std::uint32_t* key, const std::int32_t* class_begin,
                const std::int32_t* class_images, const float* tables, std::int32_t* index, float* y, Stream stream) {
  launch("pair_batch",
         {.grid = {blocks_for(d.pairs, kThreads), blocks_for(d.tasks, kTasksPerBlock)}, .block = kThreads}, stream,
         pair_batch_kernel, d, d.rows(), key, class_begin, class_images, tables, index, y);
}

}  // namespace roap::cuda
