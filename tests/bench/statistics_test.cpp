#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/error.h"

namespace roap::bench {
namespace {

TEST(BenchStatistics, QuantilesInterpolateBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile({1, 2}, 0.5), 1.5);
  EXPECT_DOUBLE_EQ(quantile({10, 0, 20, 30, 40}, 0.1), 4);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.9), 7);
  EXPECT_THROW(quantile({}, 0.5), ShapeError);
}

TEST(BenchStatistics, RankTestAgreesWithPublishedValues) {
  // scipy.stats.mannwhitneyu(later, earlier, alternative="greater", method="asymptotic")
  const std::vector<double> earlier{1.1, 2.2, 2.2, 3.5, 4.0, 5.1}, later{2.2, 3.6, 4.1, 5.5, 6.0, 7.3, 8.8};
  EXPECT_NEAR(probability_of_chance(earlier, later), 0.026235079769752187, 1e-12);
  EXPECT_GT(probability_of_chance(later, earlier), 0.97);
  EXPECT_EQ(probability_of_chance(std::vector<double>{2, 2, 2}, std::vector<double>{2, 2}), 1);
  EXPECT_EQ(probability_of_chance({}, later), 1);
}

TEST(BenchStatistics, PowerLawIsRecovered) {
  const std::vector<double> x{16, 32, 63, 125, 250};
  std::vector<double> y;
  for (const double value : x) y.push_back(3e-6 * std::pow(value, 1.37));
  const PowerLaw law = fit_power_law(x, y);
  EXPECT_NEAR(law.exponent, 1.37, 1e-12);
  EXPECT_NEAR(law.factor, 3e-6, 1e-15);
  EXPECT_NEAR(law.exponent_error, 0, 1e-6);
  y[2] *= 1.5;
  EXPECT_GT(fit_power_law(x, y).exponent_error, 0.01);
  EXPECT_THROW(fit_power_law(std::vector<double>{2, 2}, std::vector<double>{1, 3}), ShapeError);
  EXPECT_THROW(fit_power_law(std::vector<double>{1, 2}, std::vector<double>{0, 3}), ShapeError);
}

}  // namespace
}  // namespace roap::bench
