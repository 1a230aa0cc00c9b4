#include "models/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "models/search/formula_pool.h"

namespace roap {

namespace {

Gauge fit_gauge(std::span<const float> symbols, std::span<const int> k) {
  const double n = static_cast<double>(symbols.size());
  const double mean = std::accumulate(symbols.begin(), symbols.end(), 0.0) / n;
  const double gold_mean = std::accumulate(k.begin(), k.end(), 0.0) / 10 / n;
  double variance = 0;
  double covariance = 0;
  for (std::size_t i = 0; i < k.size(); ++i) {
    variance += (symbols[i] - mean) * (symbols[i] - mean);
    covariance += (symbols[i] - mean) * (k[i] / 10.0 - gold_mean);
  }
  Gauge gauge;
  gauge.a = variance > 0 ? covariance / variance : 0;
  gauge.b = gold_mean - gauge.a * mean;
  for (std::size_t i = 0; i < k.size(); ++i) {
    const double error = gauge.a * symbols[i] + gauge.b - k[i] / 10.0;
    gauge.loss += error * error / n;
  }
  return gauge;
}

}  // namespace

SymbolMetrics symbol_metrics(std::span<const float> symbols, std::span<const int> k) {
  std::array<double, search::kLevels> sum{};
  std::array<int, search::kLevels> count{};
  SymbolMetrics metrics;
  metrics.images = static_cast<int>(symbols.size());
  int right = 0;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const double error = symbols[i] - k[i] / 10.0;
    metrics.loss += error * error / metrics.images;
    const double level = std::clamp(std::round(10.0 * symbols[i]), 1.0, 10.0);
    right += level == k[i] ? 1 : 0;
    sum[static_cast<std::size_t>(k[i] - 1)] += symbols[i];
    ++count[static_cast<std::size_t>(k[i] - 1)];
  }
  const auto classes = search::kLevels - std::ranges::count(count, 0);
  for (std::size_t c = 0; c < count.size(); ++c) {
    const double error = count[c] > 0 ? sum[c] / count[c] - static_cast<double>(c + 1) / 10 : 0.0;
    metrics.class_mean_loss += error * error / static_cast<double>(classes);
  }
  metrics.right = static_cast<double>(right) / metrics.images;
  metrics.gauge = fit_gauge(symbols, k);
  return metrics;
}

std::string SymbolMetrics::gauge_text() const {
  constexpr double kRight = 0.9;         // share of images with the right level
  constexpr double kIdentified = 0.005;  // symbolic loss after the best affine map: half a level squared, twice over
  if (right >= kRight) return "right";
  if (gauge.loss <= kIdentified) {
    return fmt::format("right up to s -> {:.2f} s {} {:.2f}", gauge.a, gauge.b < 0 ? "-" : "+", std::abs(gauge.b));
  }
  return "not identified";
}

Loss prediction_loss(std::span<const double> predictions, std::span<const float> y, double sigma) {
  Loss loss;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = predictions[i] - y[i];
    loss.raw += error * error / static_cast<double>(y.size());
  }
  loss.normalised = loss.raw / (sigma * sigma);
  return loss;
}

Loss mean_loss(std::span<const Loss> losses) {
  Loss mean;
  for (const Loss& loss : losses) {
    mean.raw += loss.raw / static_cast<double>(losses.size());
    mean.normalised += loss.normalised / static_cast<double>(losses.size());
  }
  return mean;
}

bool predicts_exactly(std::span<const double> predictions, std::span<const float> y) {
  constexpr double kTolerance = 1e-5;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double allowed = kTolerance * std::max(1.0, std::abs(static_cast<double>(y[i])));
    if (!(std::abs(predictions[i] - y[i]) <= allowed)) return false;
  }
  return true;
}

Interval wilson_interval(int successes, int trials) {
  if (trials < 1) return {};
  constexpr double kZ = 1.959963984540054;  // 97.5 % of a normal distribution lie below
  const double n = trials;
  const double rate = successes / n;
  const double center = (rate + kZ * kZ / (2 * n)) / (1 + kZ * kZ / n);
  const double half = kZ / (1 + kZ * kZ / n) * std::sqrt(rate * (1 - rate) / n + kZ * kZ / (4 * n * n));
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

}  // namespace roap
