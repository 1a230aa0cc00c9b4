#pragma once

#include "kernels/grouped_linear/grouped_linear.h"

// The definition of grouped_linear: plain loops in float or double.

namespace roap::reference {

template <class Real>
void grouped_linear_forward(const GroupedLinearDims& d, const GroupedLinearParams& params, const Real* x, const Real* w,
                            const Real* b, Real* y) {
  for (std::int64_t g = 0; g < d.groups; ++g) {
    for (std::int64_t r = 0; r < d.rows; ++r) {
      for (std::int64_t o = 0; o < d.out; ++o) {
        Real sum = b != nullptr ? b[g * d.out + o] : Real{0};
        for (std::int64_t i = 0; i < d.in; ++i) {
          sum += x[g * d.x_group() + r * d.in + i] * w[g * d.w_group() + o * d.in + i];
        }
        y[(g * d.rows + r) * d.out + o] = params.relu && sum < 0 ? Real{0} : sum;
      }
    }
  }
}

/// y is null without ReLU; of dx, dw and db each may be null.
template <class Real>
void grouped_linear_backward(const GroupedLinearDims& d, const Real* dy, const Real* y, const Real* x, const Real* w,
                             Real* dx, bool accumulate_dx, Real* dw, Real* db) {
  const auto zero = [](Real* values, std::int64_t count) {
    for (std::int64_t i = 0; values != nullptr && i < count; ++i) values[i] = 0;
  };
  if (!accumulate_dx) zero(dx, (d.shared_x ? 1 : d.groups) * d.rows * d.in);
  zero(dw, (d.shared_w ? 1 : d.groups) * d.out * d.in);
  zero(db, d.groups * d.out);
  for (std::int64_t g = 0; g < d.groups; ++g) {
    for (std::int64_t r = 0; r < d.rows; ++r) {
      for (std::int64_t o = 0; o < d.out; ++o) {
        const std::int64_t element = (g * d.rows + r) * d.out + o;
        const Real dz = y != nullptr && !(y[element] > 0) ? Real{0} : dy[element];
        if (db != nullptr) db[g * d.out + o] += dz;
        for (std::int64_t i = 0; i < d.in; ++i) {
          const std::int64_t of_x = g * d.x_group() + r * d.in + i;
          const std::int64_t of_w = g * d.w_group() + o * d.in + i;
          if (dx != nullptr) dx[of_x] += dz * w[of_w];
          if (dw != nullptr) dw[of_w] += dz * x[of_x];
        }
      }
    }
  }
}

}  // namespace roap::reference
