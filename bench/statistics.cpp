#include "bench/statistics.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/error.h"

namespace roap::bench {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) throw ShapeError("quantile of no values");
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

double probability_of_chance(std::span<const double> earlier, std::span<const double> later) {
  struct Value {
    double value;
    bool later;
  };
  std::vector<Value> all;
  for (const double value : earlier) all.push_back({value, false});
  for (const double value : later) all.push_back({value, true});
  std::sort(all.begin(), all.end(), [](const Value& a, const Value& b) { return a.value < b.value; });
  const auto n1 = static_cast<double>(earlier.size()), n2 = static_cast<double>(later.size()), n = n1 + n2;
  if (n1 == 0 || n2 == 0) return 1;
  double rank_sum = 0;  // of the later values; equal values share the mean of their ranks
  double ties = 0;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end].value == all[begin].value) ++end;
    const auto count = static_cast<double>(end - begin);
    const double rank = static_cast<double>(begin + end + 1) / 2;
    for (std::size_t i = begin; i < end; ++i) rank_sum += all[i].later ? rank : 0;
    ties += count * count * count - count;
  }
  const double u = rank_sum - n2 * (n2 + 1) / 2;
  const double variance = n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1)));
  if (variance <= 0) return 1;
  return 0.5 * std::erfc((u - n1 * n2 / 2 - 0.5) / std::sqrt(2 * variance));
}

PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(x[i] > 0 && y[i] > 0)) throw ShapeError("fit of a power law: values must be positive");
    mean_x += std::log(x[i]) / n;
    mean_y += std::log(y[i]) / n;
  }
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x, dy = std::log(y[i]) - mean_y;
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  if (!(xx > 0)) throw ShapeError("fit of a power law: two different x are needed");
  PowerLaw law;
  law.exponent = xy / xx;
  law.factor = std::exp(mean_y - law.exponent * mean_x);
  const double rest = std::max(0.0, yy - law.exponent * xy);
  if (x.size() > 2) law.exponent_error = std::sqrt(rest / (n - 2) / xx);
  return law;
}

}  // namespace roap::bench
