#pragma once

#include "kernels/image_batch/image_batch.h"

// The definition of image_batch: plain loops in float or double.

namespace roap::reference {

template <class Real>
void image_batch(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* images,
                 const std::int32_t* index, const std::uint32_t* key, Real* y) {
  for (std::int64_t b = 0; b < d.n; ++b) {
    ImageAugmentation how;
    if (params.augments()) {
      how = image_augmentation({key[0], key[1], key[2], key[3]}, b, params.flip, params.max_shift);
    }
    for (std::int64_t r = 0; r < d.h; ++r) {
      for (std::int64_t q = 0; q < d.w; ++q) {
        const std::int64_t row = r + how.shift_rows;
        const std::int64_t shifted = q + how.shift_columns;
        const std::int64_t column = how.flip ? d.w - 1 - shifted : shifted;
        const bool inside = row >= 0 && row < d.h && column >= 0 && column < d.w;
        for (std::int64_t j = 0; j < d.c; ++j) {
          const auto channel = static_cast<std::size_t>(j);
          Real value = 0;
          if (inside) {
            value = static_cast<Real>(images[((index[b] * d.h + row) * d.w + column) * d.c + j]) *
                        static_cast<Real>(params.scale[channel]) +
                    static_cast<Real>(params.shift[channel]);
          }
          y[((b * d.h + r) * d.w + q) * d.c + j] = value;
        }
      }
    }
  }
}

}  // namespace roap::reference
