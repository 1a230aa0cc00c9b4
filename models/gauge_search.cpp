#include "models/gauge_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/formula_posterior/formula_posterior_op.h"

namespace roap {

namespace {

constexpr int kSearchTasks = 32;
constexpr int kSearchPairs = 24;
constexpr double kMargin = 0.02;    // nats per task
constexpr double kNegative = 0.05;  // what symbols that are negative in the mean must be better by
constexpr std::array kFactors{-1.4, -1.0, -0.7, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 2.0};
constexpr std::array kOffsets{-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 0.55, 1.1};

}  // namespace

struct GaugeSearch::Batch {
  std::span<const float> symbols, y, sigma;
  double temperature, floor;
};

class GaugeSearch::Part {
 public:
  /// `tasks` of all tasks, evenly spread, and pairs [first, first + pairs) of a batch of all_pairs.
  Part(const FormulaSet& formulas, std::pair<int, int> tasks_of_all, int first, int pairs, int all_pairs,
       DeviceKind device)
      : tasks_(tasks_of_all.first),
        all_tasks_(tasks_of_all.second),
        first_(first),
        pairs_(pairs),
        all_pairs_(all_pairs),
        variables_(formulas.formulas().variables()),
        store_(device),
        graph_(store_) {
    store_.allocate();
    symbols_ = graph_.input("symbols", f32({pairs_, variables_}));
    y_ = graph_.input("y", f32({tasks_, pairs_}));
    sigma_ = graph_.input("sigma", f32({tasks_}));
    temperature_ = graph_.input("temperature", f32({1}));
    floor_ = graph_.input("floor", f32({1}));
    loss_ = graph_.keep(
        formula_posterior(graph_, "gauge", symbols_, y_, sigma_, temperature_, floor_, formulas.graph()).loss);
    executor_ = std::make_unique<Executor>(graph_);
  }

  void load(const Batch& batch) {
    std::vector<float> y;
    std::vector<float> sigma;
    for (int i = 0; i < tasks_; ++i) {
      const auto t = static_cast<std::size_t>(std::int64_t{i} * all_tasks_ / tasks_);
      const auto row = batch.y.subspan(t * static_cast<std::size_t>(all_pairs_) + static_cast<std::size_t>(first_),
                                       static_cast<std::size_t>(pairs_));
      y.insert(y.end(), row.begin(), row.end());
      sigma.push_back(batch.sigma[t]);
    }
    const auto variables = static_cast<std::size_t>(variables_);
    const auto part = batch.symbols.subspan(static_cast<std::size_t>(first_) * variables,
                                            static_cast<std::size_t>(pairs_) * variables);
    own_symbols_.assign(part.begin(), part.end());
    const auto temperature = static_cast<float>(batch.temperature);
    const auto floor = static_cast<float>(batch.floor);
    executor_->write(y_, std::span<const float>(y));
    executor_->write(sigma_, std::span<const float>(sigma));
    executor_->write(temperature_, std::span<const float>(&temperature, 1));
    executor_->write(floor_, std::span<const float>(&floor, 1));
  }

  double objective(const AffineMap& map) {
    std::vector<float> mapped;
    double sum = 0;
    for (const float s : own_symbols_) {
      mapped.push_back(static_cast<float>(map.a * static_cast<double>(s) + map.b));
      sum += static_cast<double>(mapped.back());
    }
    executor_->write(symbols_, std::span<const float>(mapped));
    executor_->run();
    return executor_->read_scalar(loss_) + (sum < 0 ? kNegative : 0);
  }

 private:
  int tasks_, all_tasks_, first_, pairs_, all_pairs_, variables_;
  ParameterStore store_;
  Graph graph_;
  TensorId symbols_, y_, sigma_, temperature_, floor_, loss_;
  std::unique_ptr<Executor> executor_;
  std::vector<float> own_symbols_;
};

GaugeSearch::GaugeSearch(const FormulaSet& formulas, int tasks, int pairs, DeviceKind device) {
  const int first = std::min(kSearchPairs, pairs / 2);
  search_ = std::make_unique<Part>(formulas, std::pair(std::min(tasks, kSearchTasks), tasks), 0, first, pairs, device);
  check_ = std::make_unique<Part>(formulas, std::pair(tasks, tasks), first, pairs - first, pairs, device);
}

GaugeSearch::~GaugeSearch() = default;

AffineMap GaugeSearch::best_map(std::span<const float> symbols, std::span<const float> y, std::span<const float> sigma,
                                double temperature, double floor) {
  const Batch batch{symbols, y, sigma, temperature, floor};
  search_->load(batch);
  AffineMap best;
  double least = search_->objective(best);
  for (const double a : kFactors) {
    for (const double b : kOffsets) {
      const double loss = search_->objective({a, b});
      if (std::isfinite(loss) && loss < least) {
        least = loss;
        best = {a, b};
      }
    }
  }
  if (best.is_identity()) return best;
  check_->load(batch);
  const double gain = check_->objective({}) - check_->objective(best);
  return gain > kMargin ? best : AffineMap{};
}

}  // namespace roap
