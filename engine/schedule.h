#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

// Values that change over a run, as functions of progress = step / steps in [0, 1).

namespace roap {

/// `early` before the moment `from`, `late` after it.
inline double step_schedule(double early, double late, double from, double progress) {
  return progress < from ? early : late;
}

/// Rises (or falls) smoothly from `first` to `last`, by the same factor for every share of the run. Both positive.
inline double geometric_schedule(double first, double last, double progress) {
  return first * std::pow(last / first, progress);
}

/// Half a cosine from 1 down to `floor`.
inline double cosine_decay(double floor, double progress) {
  return floor + (1 - floor) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

/// Falls linearly from 1 to 0 at the moment `until` > 0, and stays there.
inline double linear_decay(double until, double progress) { return std::max(0.0, 1 - progress / until); }

/// Rises linearly from 1/steps to 1 over the first `steps` steps.
inline double warmup(double step, double steps) { return steps <= 0 ? 1.0 : std::min(1.0, (step + 1) / steps); }

}  // namespace roap
