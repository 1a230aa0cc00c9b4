#pragma once

#include <algorithm>

#include "kernels/conv2d/conv2d.h"

// The definition of conv2d: plain loops in float or double.

namespace roap::reference {

/// Calls term(y index, x index, w index) for every product of the convolution that meets the image.
template <class Term>
void for_each_conv2d_term(const Conv2dDims& d, Term&& term) {
  const TapWindow stored = stored_window(d);
  for (std::int64_t n = 0; n < d.n; ++n) {
    for (std::int64_t oy = 0; oy < d.ho(); ++oy) {
      for (std::int64_t ox = 0; ox < d.wo(); ++ox) {
        for (std::int64_t ky = 0; ky < d.kh; ++ky) {
          for (std::int64_t kx = 0; kx < d.kw; ++kx) {
            const std::int64_t iy = oy * d.stride + ky - d.padding;
            const std::int64_t ix = ox * d.stride + kx - d.padding;
            if (iy < 0 || iy >= d.h || ix < 0 || ix >= d.w) continue;
            // A tap that meets the image is live, so w holds it.
            const std::int64_t tap = (ky - stored.first_row) * stored.columns + kx - stored.first_column;
            const std::int64_t y0 = ((n * d.ho() + oy) * d.wo() + ox) * d.co;
            const std::int64_t x0 = ((n * d.h + iy) * d.w + ix) * d.ci;
            for (std::int64_t o = 0; o < d.co; ++o) {
              for (std::int64_t i = 0; i < d.ci; ++i) {
                term(y0 + o, x0 + i, (o * stored.count() + tap) * d.ci + i);
              }
            }
          }
        }
      }
    }
  }
}

template <class Real>
void conv2d_forward(const Conv2dDims& d, const Real* x, const Real* w, Real* y) {
  std::fill_n(y, d.output_rows() * d.co, Real{0});
  for_each_conv2d_term(d, [=](std::int64_t yi, std::int64_t xi, std::int64_t wi) { y[yi] += x[xi] * w[wi]; });
}

template <class Real>
void conv2d_backward_data(const Conv2dDims& d, const Real* dy, const Real* w, Real* dx, bool accumulate) {
  if (!accumulate) std::fill_n(dx, d.n * d.h * d.w * d.ci, Real{0});
  for_each_conv2d_term(d, [=](std::int64_t yi, std::int64_t xi, std::int64_t wi) { dx[xi] += dy[yi] * w[wi]; });
}

template <class Real>
void conv2d_backward_weight(const Conv2dDims& d, const Real* dy, const Real* x, Real* dw) {
  std::fill_n(dw, weight_count(d), Real{0});
  for_each_conv2d_term(d, [=](std::int64_t yi, std::int64_t xi, std::int64_t wi) { dw[wi] += dy[yi] * x[xi]; });
}

}  // namespace roap::reference
