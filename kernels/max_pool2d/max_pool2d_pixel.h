#pragma once

#include <cstdint>

#include "kernels/common/isa.h"

// Vector code of max_pool2d: one pixel for all channels, compiled per instruction set.

namespace roap::cpu {

/// One pixel of y from the taps of its window that lie inside the image, ascending.
struct MaxPoolWindow {
  static constexpr int kMaxTaps = 225;
  std::int64_t channels;
  int count;
  const float* x[kMaxTaps];  ///< each [channels]
  std::uint8_t tap[kMaxTaps];
  float* y;              ///< [channels]
  std::uint8_t* winner;  ///< [channels]
};

/// dx [channels] += dy [channels] where winner [channels] is `tap`.
struct MaxPoolTapBackward {
  std::int64_t channels;
  const float* dy;
  const std::uint8_t* winner;
  std::uint8_t tap;
  float* dx;
};

ROAP_ISA_DISPATCH(void, max_pool2d_window, (const MaxPoolWindow& t), (t))
ROAP_ISA_DISPATCH(void, max_pool2d_tap_backward, (const MaxPoolTapBackward& t), (t))

}  // namespace roap::cpu
