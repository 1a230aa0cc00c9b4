#include "kernels/pair_batch/pair_batch.h"

#include "kernels/common/parallel.h"

// Computes: images and targets of the step's pairs. Mapping: a piece owns kPairGrain pairs. Memory: one element of each
// task's table per pair.

namespace roap::cpu {

void pair_batch(const PairBatchDims& d, const std::uint32_t* key, const std::int32_t* class_begin,
                const std::int32_t* class_images, const float* tables, std::int32_t* index, float* y) {
  constexpr std::int64_t kPairGrain = 16;
  const RandomKey words{key[0], key[1], key[2], key[3]};
  const std::int64_t rows = d.rows();
  parallel_ranges(d.pairs, kPairGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      std::int64_t row = 0;
      for (std::int64_t p = b * d.symbols; p < (b + 1) * d.symbols; ++p) {
        const PairImage drawn = draw_pair_image(words, p, d.classes, class_begin, class_images);
        index[p] = drawn.image;
        row = row * d.classes + drawn.label;
      }
      for (std::int64_t t = 0; t < d.tasks; ++t) y[t * d.pairs + b] = tables[t * rows + row];
    }
  });
}

}  // namespace roap::cpu
