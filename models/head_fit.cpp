#include "models/head_fit.h"

#include <algorithm>
#include <array>

#include "engine/autodiff.h"
#include "engine/schedule.h"
#include "kernels/task_loss/task_loss_op.h"
#include "models/mlp_head.h"
#include "models/update.h"

namespace roap {

namespace {

constexpr double kCosineFloor = 0.02;  // share of the rate that is left at the end

/// A training step of the MLPs on their own.
class HeadFit {
 public:
  HeadFit(const HeadFitData& data, const HeadFitOptions& options, DeviceKind device)
      : data_(data),
        options_(options),
        tasks_(std::ssize(data.sigma)),
        all_pairs_(std::ssize(data.symbols) / data.variables),
        pairs_(std::min<std::int64_t>(options.pairs_per_step, all_pairs_)),
        store_(device),
        config_{MlpHeadConfig::Kind::disjoint, static_cast<int>(tasks_), options.width},
        predictor_(store_, config_, data.variables),
        graph_(store_) {
    symbols_ = graph_.input("symbols", f32({pairs_, data.variables}));
    y_ = graph_.input("y", f32({tasks_, pairs_}));
    const TensorId sigma = graph_.input("sigma", f32({tasks_}));
    const TensorId lambda = graph_.input("lambda", f32({1}));
    rates_ = graph_.input("rates", f32({2}));
    const TensorId yhat = build_mlp_head(graph_, config_, symbols_);
    const TensorId loss = task_loss(graph_, "loss", yhat, y_, sigma, {}, lambda, {}, {}).loss;
    const TensorId loss_gradient = graph_.input("grad.loss", f32({1}));
    append_backward(graph_, {{loss, loss_gradient}});
    append_update(graph_, loss, rates_, {});
    store_.initialize(options.seed);
    executor_ = std::make_unique<Executor>(graph_);
    executor_->write(sigma, data.sigma);
    executor_->write(lambda, std::span<const float>(std::array{0.0F}));
    executor_->write(loss_gradient, std::span<const float>(std::array{1.0F}));
  }

  void step(int step) {
    const std::int64_t first = step * pairs_ % (all_pairs_ / pairs_ * pairs_);
    executor_->write(symbols_, data_.symbols.subspan(static_cast<std::size_t>(first * data_.variables),
                                                     static_cast<std::size_t>(pairs_ * data_.variables)));
    std::vector<float> y;
    for (std::int64_t t = 0; t < tasks_; ++t) {
      const auto row = data_.y.begin() + t * all_pairs_ + first;
      y.insert(y.end(), row, row + pairs_);
    }
    executor_->write(y_, std::span<const float>(y));
    const double progress = static_cast<double>(step) / options_.steps;
    const auto rate = static_cast<float>(options_.rate * cosine_decay(kCosineFloor, progress));
    executor_->write(rates_, std::span<const float>(std::array{rate, rate}));
    executor_->run();
  }

  std::vector<float> predict(std::span<const float> symbols) { return predictor_.predict(symbols); }

 private:
  HeadFitData data_;
  HeadFitOptions options_;
  std::int64_t tasks_, all_pairs_, pairs_;
  ParameterStore store_;
  MlpHeadConfig config_;
  MlpPredictor predictor_;
  Graph graph_;
  TensorId symbols_, y_, rates_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace

std::vector<float> fit_heads(const HeadFitData& data, std::span<const float> symbols, const HeadFitOptions& options,
                             DeviceKind device) {
  HeadFit fit(data, options, device);
  for (int step = 0; step < options.steps; ++step) fit.step(step);
  return fit.predict(symbols);
}

}  // namespace roap
