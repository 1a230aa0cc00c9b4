#pragma once

#include <string>
#include <vector>

#include "bench/report.h"

namespace roap::bench {

/// A measurement that both reports hold.
struct Change {
  std::string key;
  double before = 0, now = 0;  ///< medians, seconds
  double chance = 1;           ///< probability of being so much slower by chance
  bool regression = false;
  bool undecided = false;  ///< too few repetitions to tell, however much slower
  [[nodiscard]] double ratio() const { return now / before; }
};

/// Compares what both hold. A regression is slower by more than the share `least`, and its chance is below
/// `most_chance` divided by the number of comparisons (Bonferroni: many comparisons find something by chance).
std::vector<Change> compare(const Report& before, const Report& now, double least, double most_chance = 0.05);
std::string text_of(const std::vector<Change>& changes);

}  // namespace roap::bench
