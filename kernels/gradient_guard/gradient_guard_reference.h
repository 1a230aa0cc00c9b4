#pragma once

#include <cmath>
#include <cstdint>

// The definition of gradient_guard. The sum is double for both types: the square of a large float must not look
// non-finite.

namespace roap::reference {

template <class Real>
void gradient_guard(std::int64_t count, const Real* loss, const Real* gradients, Real* guard) {
  bool finite = std::isfinite(loss[0]);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    finite = finite && std::isfinite(gradients[i]);
    sum += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
  }
  guard[0] = finite ? Real{1} : Real{0};
  guard[1] = static_cast<Real>(std::sqrt(sum));
}

}  // namespace roap::reference
