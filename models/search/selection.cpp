#include "models/search/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace roap::search {
namespace {

constexpr double kNoise = 2;         // standard errors
constexpr double kRounding = 1e-12;  // of the variance of y: a million times what doubles lose

bool within_noise(const Candidate& candidate, const Candidate& best, double scale) {
  const auto rows = static_cast<double>(best.squared_errors.size());
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < best.squared_errors.size(); ++i) {
    const double difference = candidate.squared_errors[i] - best.squared_errors[i];
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / rows;
  const double variance = std::max(0.0, squares / rows - mean * mean);
  return mean <= kNoise * std::sqrt(variance / rows) + kRounding * scale;
}

}  // namespace

double Candidate::mean_error() const {
  return std::accumulate(squared_errors.begin(), squared_errors.end(), 0.0) /
         static_cast<double>(squared_errors.size());
}

Selection select_formula(std::span<const Candidate> candidates, double scale) {
  std::vector<double> errors;
  for (const Candidate& candidate : candidates) errors.push_back(candidate.mean_error());
  Selection selection;
  selection.best = static_cast<std::size_t>(std::ranges::min_element(errors) - errors.begin());
  std::vector<std::size_t> plausible;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i == selection.best || within_noise(candidates[i], candidates[selection.best], scale)) plausible.push_back(i);
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
