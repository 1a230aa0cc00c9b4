#pragma once

#include "kernels/pair_batch/pair_batch.h"

// The definition of pair_batch: plain loops in float or double.

namespace roap::reference {

template <class Real>
void pair_batch(const PairBatchDims& d, const std::uint32_t* key, const std::int32_t* class_begin,
                const std::int32_t* class_images, const Real* tables, std::int32_t* index, Real* y) {
  for (std::int64_t b = 0; b < d.pairs; ++b) {
    std::int64_t row = 0;
    for (std::int64_t j = 0; j < d.symbols; ++j) {
      const Philox4 bits = philox({key[0], key[1], key[2], key[3]}, static_cast<std::uint64_t>(b * d.symbols + j));
      const std::uint32_t label = bounded(bits.x[0], static_cast<std::uint32_t>(d.classes));
      const std::int32_t count = class_begin[label + 1] - class_begin[label];
      index[b * d.symbols + j] = class_images[class_begin[label] + static_cast<std::int32_t>(bounded(
                                                                       bits.x[1], static_cast<std::uint32_t>(count)))];
      row = row * d.classes + label;
    }
    for (std::int64_t t = 0; t < d.tasks; ++t) y[t * d.pairs + b] = tables[t * d.rows() + row];
  }
}

}  // namespace roap::reference
