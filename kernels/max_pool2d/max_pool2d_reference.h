#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/max_pool2d/max_pool2d.h"

// The definition of max_pool2d: plain loops in float or double.

namespace roap::reference {

/// Calls tap(output index, input index, tap) for every tap inside the image, taps of an output ascending.
template <class Tap>
void for_each_max_pool2d_tap(const MaxPool2dDims& d, Tap&& tap) {
  const MaxPool2dParams& p = d.params;
  for (std::int64_t n = 0; n < d.n; ++n) {
    for (std::int64_t oy = 0; oy < d.ho(); ++oy) {
      for (std::int64_t ox = 0; ox < d.wo(); ++ox) {
        for (std::int64_t k = 0; k < p.kernel * p.kernel; ++k) {
          const std::int64_t iy = oy * p.stride + k / p.kernel - p.padding;
          const std::int64_t ix = ox * p.stride + k % p.kernel - p.padding;
          if (iy < 0 || iy >= d.h || ix < 0 || ix >= d.w) continue;
          for (std::int64_t c = 0; c < d.c; ++c) {
            tap(((n * d.ho() + oy) * d.wo() + ox) * d.c + c, ((n * d.h + iy) * d.w + ix) * d.c + c, k);
          }
        }
      }
    }
  }
}

template <class Real>
void max_pool2d_forward(const MaxPool2dDims& d, const Real* x, Real* y, std::uint8_t* winner) {
  constexpr std::uint8_t kNone = 255;
  std::fill_n(winner, d.n * d.ho() * d.wo() * d.c, kNone);
  for_each_max_pool2d_tap(d, [=](std::int64_t o, std::int64_t i, std::int64_t tap) {
    const bool wins = winner[o] == kNone || x[i] > y[o] || (std::isnan(x[i]) && !std::isnan(y[o]));
    if (!wins) return;
    y[o] = x[i];
    winner[o] = static_cast<std::uint8_t>(tap);
  });
}

template <class Real>
void max_pool2d_backward(const MaxPool2dDims& d, const Real* dy, const std::uint8_t* winner, Real* dx,
                         bool accumulate) {
  if (!accumulate) std::fill_n(dx, d.n * d.h * d.w * d.c, Real{0});
  for_each_max_pool2d_tap(d, [=](std::int64_t o, std::int64_t i, std::int64_t tap) {
    if (winner[o] == tap) dx[i] += dy[o];
  });
}

}  // namespace roap::reference
