#include <algorithm>

#include "kernels/common/parallel.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/max_pool2d/max_pool2d_pixel.h"

// Mapping: a piece owns some images. Backward gathers: each pixel of dx adds the gradients of the windows that it won,
//   so that no two threads write one value.
// Numerics: contributions to a pixel of dx are added by ascending tap.

namespace roap::cpu {

namespace {

std::int64_t images_per_piece(const MaxPool2dDims& d) {
  constexpr std::int64_t kPieceElements = 65536;
  return std::max<std::int64_t>(1, kPieceElements / std::max<std::int64_t>(1, d.h * d.w * d.c));
}

void pool_pixel(const MaxPool2dDims& d, const float* image, std::int64_t oy, std::int64_t ox, float* y,
                std::uint8_t* winner) {
  const MaxPool2dParams& p = d.params;
  MaxPoolWindow window;
  window.channels = d.c;
  window.count = 0;
  window.y = y;
  window.winner = winner;
  for (std::int64_t ky = 0; ky < p.kernel; ++ky) {
    const std::int64_t iy = oy * p.stride + ky - p.padding;
    if (iy < 0 || iy >= d.h) continue;
    for (std::int64_t kx = 0; kx < p.kernel; ++kx) {
      const std::int64_t ix = ox * p.stride + kx - p.padding;
      if (ix < 0 || ix >= d.w) continue;
      window.x[window.count] = image + (iy * d.w + ix) * d.c;
      window.tap[window.count] = static_cast<std::uint8_t>(ky * p.kernel + kx);
      ++window.count;
    }
  }
  max_pool2d_window(window);
}

/// Output position whose tap t lies on input i, or -1.
std::int64_t output(const MaxPool2dParams& p, std::int64_t i, std::int64_t t, std::int64_t outputs) {
  const std::int64_t distance = i + p.padding - t;
  return distance >= 0 && distance % p.stride == 0 && distance / p.stride < outputs ? distance / p.stride : -1;
}

/// `dy` and `winner` of one image.
void gather_pixel(const MaxPool2dDims& d, const float* dy, const std::uint8_t* winner, std::int64_t iy, std::int64_t ix,
                  float* dx) {
  const MaxPool2dParams& p = d.params;
  for (std::int64_t ky = 0; ky < p.kernel; ++ky) {
    const std::int64_t oy = output(p, iy, ky, d.ho());
    if (oy < 0) continue;
    for (std::int64_t kx = 0; kx < p.kernel; ++kx) {
      const std::int64_t ox = output(p, ix, kx, d.wo());
      if (ox < 0) continue;
      const std::int64_t at = (oy * d.wo() + ox) * d.c;
      max_pool2d_tap_backward({d.c, dy + at, winner + at, static_cast<std::uint8_t>(ky * p.kernel + kx), dx});
    }
  }
}

}  // namespace

void max_pool2d_forward(const MaxPool2dDims& d, const float* x, float* y, std::uint8_t* winner) {
  parallel_ranges(d.n, images_per_piece(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t oy = 0; oy < d.ho(); ++oy) {
        for (std::int64_t ox = 0; ox < d.wo(); ++ox) {
          const std::int64_t at = ((n * d.ho() + oy) * d.wo() + ox) * d.c;
          pool_pixel(d, x + n * d.h * d.w * d.c, oy, ox, y + at, winner + at);
        }
      }
    }
  });
}

void max_pool2d_backward(const MaxPool2dDims& d, const float* dy, const std::uint8_t* winner, float* dx,
                         bool accumulate) {
  parallel_ranges(d.n, images_per_piece(d), [&](std::int64_t begin, std::int64_t end) {
    if (!accumulate) std::fill(dx + begin * d.h * d.w * d.c, dx + end * d.h * d.w * d.c, 0.0f);
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t outputs = n * d.ho() * d.wo() * d.c;
      for (std::int64_t iy = 0; iy < d.h; ++iy) {
        for (std::int64_t ix = 0; ix < d.w; ++ix) {
          gather_pixel(d, dy + outputs, winner + outputs, iy, ix, dx + ((n * d.h + iy) * d.w + ix) * d.c);
        }
      }
    }
  });
}

}  // namespace roap::cpu
