#include "models/search/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace roap::search {
namespace {

constexpr double kNoise = 2;         // standard errors
constexpr double kRounding = 1e-12;  // of the variance of y: a million times what doubles lose

}  // namespace

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double rounding_error(double variance) { return kRounding * (variance > 0 ? variance : 1.0); }

bool within_noise(std::span<const double> squared_errors, std::span<const double> best, double variance) {
  const double own_error = std::max(mean(squared_errors), rounding_error(variance));
  const double best_error = std::max(mean(best), rounding_error(variance));
  const double advantage = std::log(own_error / best_error) / 2;
  if (advantage <= 0) return true;
  const auto rows = static_cast<double>(best.size());
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    const double ratio = (squared_errors[i] / own_error - best[i] / best_error) / 2;
    sum += ratio;
    squares += ratio * ratio;
  }
  const double spread = std::max(0.0, squares / rows - sum / rows * (sum / rows));
  return advantage <= kNoise * std::sqrt(spread / rows);
}

double Candidate::mean_error() const { return mean(squared_errors); }

Selection select_formula(std::span<const Candidate> candidates, double variance) {
  std::vector<double> errors;
  for (const Candidate& candidate : candidates) errors.push_back(candidate.mean_error());
  Selection selection;
  selection.best = static_cast<std::size_t>(std::ranges::min_element(errors) - errors.begin());
  std::vector<std::size_t> plausible;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (within_noise(candidates[i].squared_errors, candidates[selection.best].squared_errors, variance)) {
      plausible.push_back(i);
    }
  }
  const auto order = [&](std::size_t i) { return std::tuple(candidates[i].operators, errors[i], i); };
  selection.chosen = *std::ranges::min_element(plausible, {}, order);
  for (const std::size_t i : plausible) {
    if (i != selection.chosen && candidates[i].operators == candidates[selection.chosen].operators) {
      selection.ties.push_back(i);
    }
  }
  return selection;
}

}  // namespace roap::search
