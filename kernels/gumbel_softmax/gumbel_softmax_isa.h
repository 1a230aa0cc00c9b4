#pragma once

#include "kernels/common/isa.h"
#include "kernels/common/philox.h"

// Vector code of gumbel_softmax. Logits with noise are one range of elements after the other, whatever the rows; a
// softmax works on a tile of rows, one row per vector lane, so that a group needs no sums across lanes.

namespace roap {

inline constexpr int kSoftmaxRows = 16;  ///< of a tile

/// Elements [first_element, first_element + count) of the tensor.
struct NoisyRange {
  const float* logits;  ///< [count]
  std::int64_t count;
  float sharpness;
  bool noise;
  RandomKey key;
  std::uint64_t first_element;
};

/// Rows [rows, columns] of groups, at most kSoftmaxRows of them.
struct SoftmaxTile {
  const int* group_sizes;
  std::int64_t groups, rows, columns;
  float* values;
  float* scratch;  ///< softmax_scratch(columns)
  bool one_hot;    ///< the first largest member gets 1 and the others 0, instead of their softmax
};

/// Floats of scratch memory: the tile with rows as lanes, in whole vectors.
static inline std::int64_t softmax_scratch(std::int64_t columns) { return (columns + kSoftmaxRows) * kSoftmaxRows; }

ROAP_ISA_DISPATCH(void, noisy_logits, (const NoisyRange& range, float* noisy), (range, noisy))
/// Replaces every group of every row by its softmax or one-hot vector.
ROAP_ISA_DISPATCH(void, softmax_groups, (const SoftmaxTile& tile), (tile))

}  // namespace roap
