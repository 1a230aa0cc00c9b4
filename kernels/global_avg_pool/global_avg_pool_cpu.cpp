#include <algorithm>

#include "kernels/common/parallel.h"
#include "kernels/global_avg_pool/global_avg_pool.h"

// Mapping: a piece owns some images. Numerics: pixels are added in ascending order, in float.

namespace roap::cpu {

namespace {

std::int64_t images_per_piece(const GlobalAvgPoolDims& d) {
  constexpr std::int64_t kPieceElements = 32768;
  return std::max<std::int64_t>(1, kPieceElements / std::max<std::int64_t>(1, d.pixels * d.c));
}

}  // namespace

void global_avg_pool_forward(const GlobalAvgPoolDims& d, const float* x, float* y) {
  const float share = 1.0f / static_cast<float>(d.pixels);
  parallel_ranges(d.n, images_per_piece(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const float* image = x + n * d.pixels * d.c;
      float* mean = y + n * d.c;
      std::copy_n(image, d.c, mean);
      for (std::int64_t p = 1; p < d.pixels; ++p) {
        for (std::int64_t j = 0; j < d.c; ++j) mean[j] += image[p * d.c + j];
      }
      for (std::int64_t j = 0; j < d.c; ++j) mean[j] *= share;
    }
  });
}

void global_avg_pool_backward(const GlobalAvgPoolDims& d, const float* dy, float* dx, bool accumulate) {
  const float share = 1.0f / static_cast<float>(d.pixels);
  parallel_ranges(d.n, images_per_piece(d), [&](std::int64_t begin, std::int64_t end) {
    if (!accumulate) std::fill(dx + begin * d.pixels * d.c, dx + end * d.pixels * d.c, 0.0f);
    for (std::int64_t row = begin * d.pixels; row < end * d.pixels; ++row) {
      const float* gradient = dy + row / d.pixels * d.c;
      for (std::int64_t j = 0; j < d.c; ++j) dx[row * d.c + j] += gradient[j] * share;
    }
  });
}

}  // namespace roap::cpu
