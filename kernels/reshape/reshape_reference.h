#pragma once

#include <cstdint>

// The definition of reshape: a plain loop in float or double.

namespace roap::reference {

template <class Real>
void reshape_copy(std::int64_t count, const Real* from, Real* to, bool accumulate) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = (accumulate ? to[i] : Real{0}) + from[i];
}

}  // namespace roap::reference
