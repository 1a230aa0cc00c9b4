#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/executor.h"
#include "engine/graph.h"

namespace roap {

/// What predicts y where there is no program: an MLP over a pair's symbols with two hidden layers and ReLU.
struct MlpHeadConfig {
  enum class Kind {
    disjoint,  ///< every task has an MLP of its own
    one_hot,   ///< one MLP, whose input is the symbols and a one-hot code of the task
  };
  Kind kind = Kind::disjoint;
  int tasks = 0;
  int width = 256;  ///< of the hidden layers
};

/// symbols [B, V] -> yhat [T, B]. Weights are head.{0,2,4}.{weight,bias}, numbered like a torch.nn.Sequential of
/// Linear, ReLU, Linear, ReLU, Linear, with an axis of tasks in front where each task has its own. With one_hot that is
/// head.0.bias [T, width] alone: all that a one-hot code adds to the first layer is a column of its weights, which
/// holds the layer's bias too. So no code is ever written down.
TensorId build_mlp_head(Graph& graph, const MlpHeadConfig& config, TensorId symbols);

/// The MLP in use, a fixed number of pairs at a time.
class MlpPredictor {
 public:
  /// Declares the weights where the store does not have them yet; it must be allocated before the first prediction.
  MlpPredictor(ParameterStore& store, const MlpHeadConfig& config, int variables);
  /// symbols [pairs, V] -> yhat [T, pairs].
  std::vector<float> predict(std::span<const float> symbols);

 private:
  Graph graph_;
  TensorId symbols_, yhat_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace roap
