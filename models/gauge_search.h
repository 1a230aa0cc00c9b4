#pragma once

#include <memory>
#include <span>

#include "engine/executor.h"
#include "models/formula_set.h"
#include "models/model.h"

namespace roap {

/// Looks for the affine map of a batch's symbols under which the formulas explain y best. A run can settle where all
/// symbols are scaled or mirrored and longer formulas make up for it; no small step of the weights leads out of there.
class GaugeSearch {
 public:
  /// A part of the tasks and pairs is enough to compare maps: at most kTasks and kPairs.
  GaugeSearch(const FormulaSet& formulas, int tasks, int pairs, DeviceKind device);

  /// symbols [pairs, V], y [T, pairs], sigma [T]. The identity unless another map is better by a clear margin. Where a
  /// map and its mirror image are equally good, as with formulas of even degree, symbols that are positive in the mean
  /// are taken.
  AffineMap best_map(std::span<const float> symbols, std::span<const float> y, std::span<const float> sigma,
                     double temperature, double floor);

  [[nodiscard]] const Graph& graph() const { return graph_; }

 private:
  static constexpr int kTasks = 32;
  static constexpr int kPairs = 24;
  double objective(std::span<const float> symbols, const AffineMap& map);

  int all_tasks_, all_pairs_, tasks_, pairs_, symbols_;
  ParameterStore store_;
  Graph graph_;
  TensorId symbols_in_, y_, sigma_, temperature_, floor_, loss_;
  std::unique_ptr<Executor> executor_;
  std::vector<float> mapped_;
};

}  // namespace roap
