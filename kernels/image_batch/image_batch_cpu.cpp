#include "kernels/image_batch/image_batch.h"

#include <algorithm>

#include "kernels/common/parallel.h"

// Mapping: a piece owns some images; a row of y is one run of pixels of a row of the data set, with zeros beside it.

namespace roap::cpu {

namespace {

constexpr std::int64_t kImagesPerPiece = 8;

/// Row of y from a row of pixels: y column q takes column q + shift, or, mirrored, w - 1 - (q + shift).
void normalize_row(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* pixels,
                   const ImageAugmentation& how, float* y) {
  const std::int64_t begin = std::clamp<std::int64_t>(-how.shift_columns, 0, d.w);
  const std::int64_t end = std::clamp<std::int64_t>(d.w - how.shift_columns, 0, d.w);
  std::fill(y, y + begin * d.c, 0.0f);
  std::fill(y + std::max(begin, end) * d.c, y + d.w * d.c, 0.0f);
  for (std::int64_t q = begin; q < end; ++q) {
    const std::int64_t column = how.flip ? d.w - 1 - (q + how.shift_columns) : q + how.shift_columns;
    for (std::int64_t j = 0; j < d.c; ++j) {
      const auto channel = static_cast<std::size_t>(j);
      y[q * d.c + j] = static_cast<float>(pixels[column * d.c + j]) * params.scale[channel] + params.shift[channel];
    }
  }
}

void gather_image(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* image,
                  const ImageAugmentation& how, float* y) {
  const std::int64_t row = d.w * d.c;
  for (std::int64_t r = 0; r < d.h; ++r) {
    const std::int64_t source = r + how.shift_rows;
    if (source < 0 || source >= d.h) {
      std::fill_n(y + r * row, row, 0.0f);
    } else {
      normalize_row(d, params, image + source * row, how, y + r * row);
    }
  }
}

}  // namespace

void image_batch(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* images,
                 const std::int32_t* index, const std::uint32_t* key, float* y) {
  const std::int64_t pixels = d.h * d.w * d.c;
  parallel_ranges(d.n, kImagesPerPiece, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      ImageAugmentation how;
      if (params.augments()) {
        how = image_augmentation({key[0], key[1], key[2], key[3]}, b, params.flip, params.max_shift);
      }
      gather_image(d, params, images + index[b] * pixels, how, y + b * pixels);
    }
  });
}

}  // namespace roap::cpu
