#pragma once

#include <span>
#include <string>
#include <vector>

namespace roap {

/// Least squares fit gold = a * symbol + b: symbols can be right up to such a map that the programs absorb.
struct Gauge {
  double a = 1, b = 0;
  double loss = 0;  ///< symbolic loss after the map
};

/// Quality of the symbols on the images of one split.
struct SymbolMetrics {
  double loss = 0;             ///< mean of (g(x) - k/10)^2 over images
  double class_mean_loss = 0;  ///< the same for the mean symbol of each class that has images
  double right = 0;            ///< share of images whose nearest level k/10 is the right one
  int images = 0;
  Gauge gauge;

  /// "right", "right up to s -> 0.71 s + 0.02", or "not identified".
  [[nodiscard]] std::string gauge_text() const;
};

/// Of images with symbols g(x) and hidden integers k in 1..10, at least one.
SymbolMetrics symbol_metrics(std::span<const float> symbols, std::span<const int> k);

/// Mean squared error against y, and the same in units of a task's variance.
struct Loss {
  double raw = 0, normalised = 0;
};

/// Of one task's predictions, as many as y; sigma is the deviation of the task's y.
Loss prediction_loss(std::span<const double> predictions, std::span<const float> y, double sigma);
/// Mean over tasks, at least one.
Loss mean_loss(std::span<const Loss> losses);

/// Is every |prediction - y| <= 1e-5 max(1, |y|)? The paper's criterion of a solved task, on hidden symbols.
bool predicts_exactly(std::span<const double> predictions, std::span<const float> y);

struct Interval {
  double low = 0, high = 1;
};
/// Wilson's 95 % interval of a rate of which `successes` out of `trials` were seen; 0..1 without trials.
Interval wilson_interval(int successes, int trials);

}  // namespace roap
