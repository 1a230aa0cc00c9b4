#pragma once

#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/philox.h"

// Draws the pairs of a step. Each pair has `symbols` images; image position p (image j of pair b: p = b symbols + j)
// takes its class from word 0 of philox(key, p) and an image of that class from word 1, both uniform:
//   label[p] = bounded(word 0, classes);  index[p] = class_images[class_begin[label] + bounded(word 1, images of it)]
//   y[t, b] = tables[t, row],  row = the labels of the pair as digits of base `classes`, the first one leading.
// So y takes its values from a table of exact numbers, and equal values are bitwise equal.

namespace roap {

struct PairBatchDims {
  std::int64_t tasks = 0, pairs = 0, symbols = 0, classes = 0;
  /// classes^symbols, the length of a table.
  [[nodiscard]] std::int64_t rows() const {
    std::int64_t rows = 1;
    for (std::int64_t j = 0; j < symbols; ++j) rows *= classes;
    return rows;
  }
};

/// One drawn image.
struct PairImage {
  std::int32_t label = 0, image = 0;
};

ROAP_HOST_DEVICE static inline PairImage draw_pair_image(const RandomKey& key, std::int64_t position,
                                                         std::int64_t classes, const std::int32_t* class_begin,
                                                         const std::int32_t* class_images) {
  const Philox4 bits = philox(key, static_cast<std::uint64_t>(position));
  const auto label = static_cast<std::int32_t>(bounded(bits.x[0], static_cast<std::uint32_t>(classes)));
  const std::int32_t begin = class_begin[label];
  const auto count = static_cast<std::uint32_t>(class_begin[label + 1] - begin);
  return {label, class_images[begin + static_cast<std::int32_t>(bounded(bits.x[1], count))]};
}

namespace cpu {

/// key: 4 words of a RandomKey, class_begin [classes + 1], class_images [class_begin[classes]], every class with at
/// least one image, tables [tasks, rows()] -> index [pairs symbols], y [tasks, pairs].
void pair_batch(const PairBatchDims& d, const std::uint32_t* key, const std::int32_t* class_begin,
                const std::int32_t* class_images, const float* tables, std::int32_t* index, float* y);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device.
void pair_batch(const PairBatchDims& d, const std::uint32_t* key, const std::int32_t* class_begin,
                const std::int32_t* class_images, const float* tables, std::int32_t* index, float* y, Stream stream);

}  // namespace cuda
}  // namespace roap
