#pragma once

#include <cstdint>
#include <optional>

#include "models/data/benchmark.h"
#include "models/metrics.h"
#include "models/model.h"

namespace roap {

/// Loss on tasks that were not trained on, judged on larger symbols than they were learned from.
struct Generalisation {
  int tasks = 0;
  Loss loss;  ///< mean over tasks
};

struct GeneralisationOptions {
  int tasks = 100;         ///< fewer where the pool has no more left
  int pairs = 1000;        ///< to learn from, and as many to judge by
  int head_steps = 1000;   ///< of Adam, where MLPs are fitted
  std::uint64_t seed = 0;  ///< of the pairs
};

/// Draws formulas of `pool` that the run has not trained on. Of each one, pairs of training images whose symbols are
/// all in the lower half of the range (k <= 5) give y; the grounder, frozen, reads the images, and the smallest formula
/// within noise of the best is found by bottom-up search (or, where the method has no programs, a new MLP is fitted).
/// It is judged on pairs of test images whose symbols are all in the upper half. Nothing where no formula is left.
std::optional<Generalisation> measure_generalisation(Model& model, const Benchmark& benchmark,
                                                     const search::FormulaPool& pool,
                                                     const GeneralisationOptions& options = {});

}  // namespace roap
