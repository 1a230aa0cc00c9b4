#include "models/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

// Every metric on a case small enough to compute by hand.

namespace roap {
namespace {

TEST(SymbolMetrics, OfFiveImages) {
  // Classes 1, 1, 5, 10, 10 with means 0.1, 0.65, 1: off by 0, 0.15, 0. Image errors: -0.06, 0.06, 0.15, 0.2, -0.2.
  const std::vector<float> symbols{0.04f, 0.16f, 0.65f, 1.2f, 0.8f};
  const std::vector<int> k{1, 1, 5, 10, 10};
  const SymbolMetrics metrics = symbol_metrics(symbols, k);
  EXPECT_EQ(metrics.images, 5);
  EXPECT_NEAR(metrics.loss, (2 * 0.0036 + 0.0225 + 2 * 0.04) / 5, 1e-7);
  EXPECT_NEAR(metrics.class_mean_loss, 0.0225 / 3, 1e-7);
  // Nearest levels: 0.1 (none is below), 0.2, 0.7 (or 0.6), 1 (none is above), 0.8.
  EXPECT_NEAR(metrics.right, 2.0 / 5, 1e-12);
  EXPECT_EQ(metrics.gauge_text(), "not identified");
}

TEST(SymbolMetrics, AGaugeIsFoundAndNamed) {
  std::vector<float> symbols;
  std::vector<int> k;
  for (int i = 1; i <= 10; ++i) {  // k / 10 = 0.5 s + 0.05
    k.push_back(i);
    symbols.push_back(static_cast<float>(2 * (i / 10.0 - 0.05)));
  }
  const SymbolMetrics metrics = symbol_metrics(symbols, k);
  EXPECT_NEAR(metrics.gauge.a, 0.5, 1e-6);
  EXPECT_NEAR(metrics.gauge.b, 0.05, 1e-6);
  EXPECT_NEAR(metrics.gauge.loss, 0, 1e-12);
  EXPECT_EQ(metrics.gauge_text(), "right up to s -> 0.50 s + 0.05");
  // (2 (i / 10 - 0.05) - i / 10)^2 = (i / 10 - 0.1)^2, over i: (0 + 1 + 4 + ... + 81) / 100 / 10
  EXPECT_NEAR(metrics.loss, 0.285, 1e-6);
}

TEST(SymbolMetrics, NumbersThatAreNoneAreNeverRight) {
  const std::vector<float> symbols(3, std::numeric_limits<float>::quiet_NaN());
  const SymbolMetrics metrics = symbol_metrics(symbols, std::vector<int>{1, 2, 10});
  EXPECT_EQ(metrics.right, 0);
  EXPECT_TRUE(std::isnan(metrics.loss));
  EXPECT_EQ(metrics.gauge_text(), "not identified");
}

TEST(PredictionLoss, IsTheMeanSquareAndItsShareOfTheVariance) {
  const std::vector<double> predictions{1.5, 2, -1};
  const std::vector<float> y{1, 2, 1};
  const Loss loss = prediction_loss(predictions, y, 0.5);
  EXPECT_NEAR(loss.raw, 4.25 / 3, 1e-12);
  EXPECT_NEAR(loss.normalised, 4.25 / 3 / 0.25, 1e-12);
  const Loss mean = mean_loss(std::vector<Loss>{{1, 2}, {3, 8}});
  EXPECT_EQ(mean.raw, 2);
  EXPECT_EQ(mean.normalised, 5);
}

TEST(PredictsExactly, AllowsRoundingRelativeToLargeValues) {
  const std::vector<float> y{0.5f, 100};
  EXPECT_TRUE(predicts_exactly(std::vector<double>{0.5 + 0.9e-5, 100 + 0.9e-3}, y));
  EXPECT_FALSE(predicts_exactly(std::vector<double>{0.5 + 1.1e-5, 100}, y));
  EXPECT_FALSE(predicts_exactly(std::vector<double>{0.5, 100 - 1.1e-3}, y));
  EXPECT_FALSE(predicts_exactly(std::vector<double>{std::nan(""), 100}, y));
}

TEST(WilsonInterval, KnownValues) {
  // 2 of 10: p = 0.2, z^2 = 3.8415; centre (0.2 + 0.19207) / 1.38415, half 1.95996 sqrt(0.016 + 0.0096036) / 1.38415.
  const Interval two = wilson_interval(2, 10);
  EXPECT_NEAR(two.low, 0.0567, 5e-5);
  EXPECT_NEAR(two.high, 0.5098, 5e-5);
  const Interval none = wilson_interval(0, 20);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 3.8415 / 23.8415, 1e-4);
  const Interval all = wilson_interval(20, 20);
  EXPECT_NEAR(all.low, 20 / 23.8415, 1e-4);
  EXPECT_EQ(all.high, 1);
  EXPECT_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

}  // namespace
}  // namespace roap
