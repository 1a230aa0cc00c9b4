#pragma once

#include "kernels/common/device_code.h"
#include "kernels/conv2d/conv2d.h"

// Which source positions the taps of a result position read, for the kernels on the device. In the forward pass results
// are output positions and sources input positions; in the backward pass to the data it is the other way round.

namespace roap::cuda {

/// Positions [begin, begin + size) of an axis.
struct PositionRange {
  int begin = 0, size = 0;
};

/// One spatial axis of a pass, with the live taps only.
struct TapAxis {
  int results = 0, sources = 0, taps = 0, stride = 1;
  int padding = 0;          ///< zeros before the input, seen from the first tap; may be negative
  bool transposed = false;  ///< results are input positions

  /// The source position that a tap of a result position reads, or -1 where there is none.
  [[nodiscard]] __host__ __device__ __forceinline__ int source(int result, int tap) const {
    int position = result * stride + tap - padding;
    if (transposed) {
      const int distance = result + padding - tap;
      position = distance >= 0 && distance % stride == 0 ? distance / stride : -1;
    }
    return position >= 0 && position < sources ? position : -1;
  }

  /// The smallest range with all sources of results [first, first + count).
  [[nodiscard]] __host__ __device__ __forceinline__ PositionRange sources_of(int first, int count) const {
    int begin = first * stride - padding, end = (first + count - 1) * stride + taps - padding;
    if (transposed) {
      const int lowest = first + padding - taps + 1;
      begin = lowest <= 0 ? 0 : (lowest + stride - 1) / stride;
      end = (first + count - 1 + padding) / stride + 1;
    }
    begin = begin < 0 ? 0 : begin;
    end = end > sources ? sources : end;
    return {begin, end > begin ? end - begin : 0};
  }
};

/// The axis with the taps [first, first + count) only.
__host__ __device__ __forceinline__ TapAxis tap_window(TapAxis axis, int first, int count) {
  axis.padding -= first;
  axis.taps = axis.taps - first < count ? axis.taps - first : count;
  return axis;
}

inline TapAxis tap_axis(const Conv2dAxis& axis, bool transposed) {
  const auto as_int = [](std::int64_t x) { return static_cast<int>(x); };
  return {as_int(transposed ? axis.in : axis.out),
          as_int(transposed ? axis.out : axis.in),
          as_int(axis.taps),
          as_int(axis.stride),
          as_int(axis.padding),
          transposed};
}

}  // namespace roap::cuda
