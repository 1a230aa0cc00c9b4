#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/common/sizes.h"

// How CPU kernels use threads. Work is cut into pieces whose shape depends on the problem alone, never on the number of
// threads; a reduction across pieces adds one partial result per piece in a fixed order. So any number of threads gives
// the same bits. oneDNN calls inside a piece run on one thread, because nested parallelism is off.

namespace roap {

/// Calls piece(i) for i in [0, count), in parallel. `piece` must not throw.
template <class Piece>
void parallel_for(std::int64_t count, Piece&& piece) {
  if (count == 1) {
    piece(std::int64_t{0});
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < count; ++i) piece(i);
}

/// Calls piece(begin, end) for consecutive ranges of `grain` items (the last may be shorter), in parallel.
template <class Piece>
void parallel_ranges(std::int64_t count, std::int64_t grain, Piece&& piece) {
  parallel_for(pieces_of(count, grain), [&](std::int64_t i) { piece(i * grain, std::min(count, (i + 1) * grain)); });
}

}  // namespace roap
