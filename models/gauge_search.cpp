#include "models/gauge_search.h"

#include <algorithm>
#include <cmath>

#include "kernels/formula_posterior/formula_posterior_op.h"

namespace roap {

namespace {

constexpr double kMargin = 0.02;    // nats per task
constexpr double kNegative = 0.05;  // what symbols that are negative in the mean must be better by
constexpr double kFactors[] = {-1.4, -1, -0.7, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.4, 1.6, 2};
constexpr double kOffsets[] = {-0.3, -0.2, -0.1, -0.05, 0, 0.05, 0.1, 0.2, 0.3, 0.55, 1.1};

}  // namespace

GaugeSearch::GaugeSearch(const FormulaSet& formulas, int tasks, int pairs, DeviceKind device)
    : all_tasks_(tasks),
      all_pairs_(pairs),
      tasks_(std::min(tasks, kTasks)),
      pairs_(std::min(pairs, kPairs)),
      symbols_(formulas.formulas().variables()),
      store_(device),
      graph_(store_) {
  store_.allocate();
  symbols_in_ = graph_.input("symbols", f32({pairs_, symbols_}));
  y_ = graph_.input("y", f32({tasks_, pairs_}));
  sigma_ = graph_.input("sigma", f32({tasks_}));
  temperature_ = graph_.input("temperature", f32({1}));
  floor_ = graph_.input("floor", f32({1}));
  loss_ = graph_.keep(
      formula_posterior(graph_, "gauge", symbols_in_, y_, sigma_, temperature_, floor_, formulas.graph()).loss);
  executor_ = std::make_unique<Executor>(graph_);
}

double GaugeSearch::objective(std::span<const float> symbols, const AffineMap& map) {
  mapped_.resize(static_cast<std::size_t>(pairs_ * symbols_));
  double sum = 0;
  for (std::size_t i = 0; i < mapped_.size(); ++i) {
    mapped_[i] = static_cast<float>(map.a * static_cast<double>(symbols[i]) + map.b);
    sum += static_cast<double>(mapped_[i]);
  }
  executor_->write(symbols_in_, std::span<const float>(mapped_));
  executor_->run();
  return executor_->read_scalar(loss_) + (sum < 0 ? kNegative : 0);
}

AffineMap GaugeSearch::best_map(std::span<const float> symbols, std::span<const float> y, std::span<const float> sigma,
                                double temperature, double floor) {
  std::vector<float> some_y;
  std::vector<float> some_sigma;
  for (int i = 0; i < tasks_; ++i) {
    const auto t = static_cast<std::size_t>(static_cast<std::int64_t>(i) * all_tasks_ / tasks_);
    const auto row = y.subspan(t * static_cast<std::size_t>(all_pairs_), static_cast<std::size_t>(pairs_));
    some_y.insert(some_y.end(), row.begin(), row.end());
    some_sigma.push_back(sigma[t]);
  }
  const auto now = static_cast<float>(temperature);
  const auto floor_now = static_cast<float>(floor);
  executor_->write(y_, std::span<const float>(some_y));
  executor_->write(sigma_, std::span<const float>(some_sigma));
  executor_->write(temperature_, std::span<const float>(&now, 1));
  executor_->write(floor_, std::span<const float>(&floor_now, 1));
  AffineMap best;
  double least = objective(symbols, best) - kMargin;
  for (const double a : kFactors) {
    for (const double b : kOffsets) {
      const double loss = objective(symbols, {a, b});
      if (std::isfinite(loss) && loss < least) {
        least = loss;
        best = {a, b};
      }
    }
  }
  return best;
}

}  // namespace roap
