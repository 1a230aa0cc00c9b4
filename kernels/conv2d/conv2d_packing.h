#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv2d/conv2d.h"

// The way of weights on the device to another layout, and of their gradient back.

namespace roap::cuda {

/// Weights as the products read them: matrices [rows_padded][depth_padded] of one tap each, zero beyond rows and depth.
/// Forward: rows are output channels and depth input channels; backward data (`transposed`): the reverse.
struct PackedWeights {
  int rows = 0, depth = 0, rows_padded = 0, depth_padded = 0;
  /// The taps to pack, counted as those of w are; zeros beyond w.
  int taps_y = 0, taps_x = 0, first_tap_y = 0, first_tap_x = 0;
  int kh = 0, kw = 0;                           ///< the taps of w
  std::int64_t tap_stride = 0, row_stride = 0;  ///< elements between taps and between rows of the packed weights
  bool transposed = false;
  [[nodiscard]] std::size_t elements() const {
    return static_cast<std::size_t>(taps_y) * taps_x * rows_padded * depth_padded;
  }
};

/// The live taps, one matrix after the other, rows and depth padded to multiples of `tile`.
PackedWeights packed_live_taps(const Conv2dDims& d, bool transposed, int tile);

/// w [co, kh, kw, ci] -> packed. T is float or Bf16.
template <class T>
void pack_weights(const PackedWeights& p, const float* w, T* packed, Stream stream);

/// Parts of the gradient of the weights, one per split of the reduction; element (split, o, tap, i) lies at split
/// split_stride + o o_stride + ky ky_stride + kx kx_stride + i, (ky, kx) counted from the
/// first tap, which is counted as dw's are and may lie before them.
struct WeightParts {
  int splits = 1;
  int taps_y = 0, taps_x = 0, first_tap_y = 0, first_tap_x = 0;
  std::int64_t split_stride = 0, o_stride = 0, ky_stride = 0, kx_stride = 0;
  [[nodiscard]] std::size_t elements() const { return static_cast<std::size_t>(splits * split_stride); }
};

/// Parts of the live taps in the order [split][o][ky][kx][i].
WeightParts live_weight_parts(const Conv2dDims& d, int splits);

/// Where the gradients [co, rows, columns, ci] of one or more convolutions go.
struct WeightGradients {
  float* dw[kMostConv2dMembers] = {};
  int members = 1;
};
/// dw of each = the sum of its parts in ascending order, zero for taps that are not among them. T is float or Bf16.
template <class T>
void add_weight_parts(const Conv2dDims& d, const WeightParts& p, const T* parts, const WeightGradients& gradients,
                      Stream stream);

}  // namespace roap::cuda
