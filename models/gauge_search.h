#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "models/formula_set.h"
#include "models/model.h"

namespace roap {

/// Looks for the affine map of a batch's symbols under which the formulas explain y best. A run can settle where all
/// symbols are scaled or mirrored and longer formulas make up for it; no small step of the weights leads out of there.
class GaugeSearch {
 public:
  /// A batch of `pairs` pairs, at least 2.
  GaugeSearch(const FormulaSet& formulas, int tasks, int pairs, DeviceKind device);

  /// symbols [pairs, V], y [T, pairs], sigma [T]. Many maps are compared on some tasks and the first pairs; the best of
  /// them must then be better by a clear margin on all tasks and the other pairs, or it is the identity: with noisy
  /// symbols a few pairs always prefer some map. Where a map and its mirror image are equally good, as with formulas of
  /// even degree, symbols that are positive in the mean are taken.
  AffineMap best_map(std::span<const float> symbols, std::span<const float> y, std::span<const float> sigma,
                     double temperature, double floor);

 private:
  /// The posterior's loss on a part of a batch.
  class Part;
  struct Batch;
  std::unique_ptr<Part> search_, check_;

 public:
  ~GaugeSearch();
};

}  // namespace roap
