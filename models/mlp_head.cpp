#include "models/mlp_head.h"

#include <algorithm>

#include "kernels/grouped_linear/grouped_linear_op.h"
#include "kernels/reshape/reshape_op.h"

namespace roap {

TensorId build_mlp_head(Graph& graph, const MlpHeadConfig& config, TensorId symbols) {
  constexpr GroupedLinearParams kRelu{.relu = true};
  const std::int64_t pairs = graph.shape(symbols)[0];
  const std::int64_t variables = graph.shape(symbols)[1];
  const bool one_hot = config.kind == MlpHeadConfig::Kind::one_hot;
  TensorId h = one_hot ? grouped_linear(graph, "head.0", symbols, config.tasks, config.width, kRelu,
                                        GroupWeights::shared, variables + config.tasks)
                       : grouped_linear(graph, "head.0", symbols, config.tasks, config.width, kRelu);
  // From here on one_hot has one network: all tasks' pairs are its rows.
  if (one_hot) h = reshape(graph, "head.rows", h, {1, config.tasks * pairs, config.width});
  const std::int64_t networks = one_hot ? 1 : config.tasks;
  h = grouped_linear(graph, "head.2", h, networks, config.width, kRelu);
  h = grouped_linear(graph, "head.4", h, networks, 1);
  return reshape(graph, "head.y", h, {config.tasks, pairs});
}

namespace {
constexpr std::int64_t kBatch = 128;  // pairs
}  // namespace

MlpPredictor::MlpPredictor(ParameterStore& store, const MlpHeadConfig& config, int variables) : graph_(store) {
  symbols_ = graph_.input("symbols", f32({kBatch, variables}));
  yhat_ = graph_.keep(build_mlp_head(graph_, config, symbols_));
}

std::vector<float> MlpPredictor::predict(std::span<const float> symbols) {
  if (!executor_) executor_ = std::make_unique<Executor>(graph_);
  const std::int64_t variables = graph_.shape(symbols_)[1];
  const std::int64_t tasks = graph_.shape(yhat_)[0];
  const std::int64_t pairs = std::ssize(symbols) / variables;
  std::vector<float> result(static_cast<std::size_t>(tasks * pairs));
  std::vector<float> batch(static_cast<std::size_t>(kBatch * variables));
  for (std::int64_t begin = 0; begin < pairs; begin += kBatch) {
    const std::int64_t count = std::min(kBatch, pairs - begin);
    std::fill(std::copy_n(symbols.begin() + begin * variables, count * variables, batch.begin()), batch.end(), 0.0F);
    executor_->write(symbols_, std::span<const float>(batch));
    executor_->run();
    const std::vector<float> yhat = executor_->read(yhat_);
    for (std::int64_t t = 0; t < tasks; ++t) {
      std::copy_n(yhat.begin() + t * kBatch, count, result.begin() + t * pairs + begin);
    }
  }
  return result;
}

}  // namespace roap
