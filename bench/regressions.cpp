#include "bench/regressions.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "bench/statistics.h"

namespace roap::bench {

namespace {

/// Chance of as many values that are all larger than the earlier ones: the least there can be.
double least_chance(std::size_t earlier, std::size_t later) {
  std::vector<double> values(earlier + later);
  std::iota(values.begin(), values.end(), 0.0);
  return probability_of_chance(std::span(values).first(earlier), std::span(values).last(later));
}

}  // namespace

std::vector<Change> compare(const Report& before, const Report& now, double least, double most_chance) {
  std::vector<Change> changes;
  std::vector<double> least_chances;
  for (const Measurement& measurement : now.measurements) {
    const auto same = [&](const Measurement& m) { return m.key() == measurement.key() && !m.seconds.empty(); };
    const auto old = std::find_if(before.measurements.begin(), before.measurements.end(), same);
    if (old == before.measurements.end() || measurement.seconds.empty()) continue;
    changes.push_back({measurement.key(), median(old->seconds), median(measurement.seconds),
                       probability_of_chance(old->seconds, measurement.seconds)});
    least_chances.push_back(least_chance(old->seconds.size(), measurement.seconds.size()));
  }
  const double allowed = most_chance / static_cast<double>(changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool slower = changes[i].ratio() > 1 + least;
    changes[i].regression = slower && changes[i].chance < allowed;
    changes[i].undecided = slower && least_chances[i] >= allowed;
  }
  return changes;
}

std::string text_of(const std::vector<Change>& changes) {
  std::string text = fmt::format("{:<78} {:>10} {:>10} {:>7} {:>9}\n", "against the other report", "before us",
                                 "now us", "ratio", "chance");
  for (const Change& change : changes) {
    text += fmt::format("{:<78} {:>10.1f} {:>10.1f} {:>7.3f} {:>9.2g}{}\n", change.key, 1e6 * change.before,
                        1e6 * change.now, change.ratio(), change.chance,
                        change.regression  ? "  REGRESSION"
                        : change.undecided ? "  too few repetitions to tell"
                                           : "");
  }
  return text;
}

}  // namespace roap::bench
