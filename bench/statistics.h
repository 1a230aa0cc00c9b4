#pragma once

#include <span>
#include <vector>

// What repeated measurements say.

namespace roap::bench {

/// The value below which a share q of the values lies, interpolated between neighbours. Needs one value at least.
double quantile(std::vector<double> values, double q);
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

/// Probability of values `later` being so much larger than `earlier` by chance: Mann and Whitney's rank test,
/// one-sided, normal approximation corrected for ties and continuity. 1 where either is empty or all values are equal.
double probability_of_chance(std::span<const double> earlier, std::span<const double> later);

/// y = factor x^exponent, fitted to logarithms by least squares.
struct PowerLaw {
  double factor = 0, exponent = 0;
  double exponent_error = 0;  ///< standard error; 0 where two points leave none
};
/// Needs two different x at least; all values positive. ShapeError otherwise.
PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y);

}  // namespace roap::bench
