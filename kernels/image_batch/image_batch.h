#pragma once

#include <array>
#include <cstdint>

#include "kernels/common/cuda_types.h"
#include "kernels/common/philox.h"

// Gathers images of a data set and normalises them: y[b, r, q, c] = images[index[b], r', q', c] scale[c] + shift[c],
// where (r', q') = (r, q), or with augmentation (r + dr, q + dq), mirrored from left to right where the image is
// flipped. What comes from outside an image is 0 after normalisation.

namespace roap {

struct ImageBatchParams {
  static constexpr std::int64_t kMaxChannels = 3;
  std::array<float, kMaxChannels> scale{1, 1, 1};  ///< per channel; y = pixel scale + shift
  std::array<float, kMaxChannels> shift{0, 0, 0};
  bool flip = false;           ///< mirror every other image, at random
  std::int64_t max_shift = 0;  ///< shift both axes by a random number of pixels in [-max_shift, max_shift]
  [[nodiscard]] bool augments() const { return flip || max_shift > 0; }
};

struct ImageBatchDims {
  std::int64_t n = 0, h = 0, w = 0, c = 0;
};

/// How one image of the batch is augmented.
struct ImageAugmentation {
  bool flip = false;
  std::int64_t shift_rows = 0, shift_columns = 0;
};

/// Draw number `position` (in the batch) of `key`; the same on every device.
ROAP_HOST_DEVICE static inline ImageAugmentation image_augmentation(const RandomKey& key, std::int64_t position,
                                                                    bool flip, std::int64_t max_shift) {
  const Philox4 bits = philox(key, static_cast<std::uint64_t>(position));
  const auto range = static_cast<std::uint32_t>(2 * max_shift + 1);
  return {flip && (bits.x[0] >> 31) != 0, static_cast<std::int64_t>(bounded(bits.x[1], range)) - max_shift,
          static_cast<std::int64_t>(bounded(bits.x[2], range)) - max_shift};
}

namespace cpu {

/// images u8 [N, h, w, c], index [n] in [0, N), key: 4 words of a RandomKey, or null without augmentation -> y [n, h,
/// w, c].
void image_batch(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* images,
                 const std::int32_t* index, const std::uint32_t* key, float* y);

}  // namespace cpu

namespace cuda {

/// As in cpu, on the device. T is float or Bf16.
template <class T>
void image_batch(const ImageBatchDims& d, const ImageBatchParams& params, const std::uint8_t* images,
                 const std::int32_t* index, const std::uint32_t* key, T* y, Stream stream);

}  // namespace cuda
}  // namespace roap
