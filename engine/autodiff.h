#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph.h"

namespace roap {

/// What an operator's gradient rule sees: the forward node, the gradients of its outputs, and `emit`.
class GradientContext {
 public:
  [[nodiscard]] const Node& node() const { return node_; }
  [[nodiscard]] TensorId input(std::size_t i) const { return node_.inputs[i]; }
  [[nodiscard]] TensorId output(std::size_t i) const { return node_.outputs[i]; }
  /// Gradient of the loss with respect to output i; absent where the loss does not depend on it.
  [[nodiscard]] TensorId grad(std::size_t output) const;
  /// Does anything need the gradient of input i?
  [[nodiscard]] bool wants(std::size_t input) const;
  /// Specs of the forward node's inputs.
  [[nodiscard]] Specs input_specs() const;

  /// Extra output of a backward node that is no gradient.
  static constexpr int kNone = -1;
  /// Appends a backward node. gradient_of[k] names the forward input whose gradient is output k (or kNone). Where that
  /// gradient has other contributions the node accumulates, through a temporary and an addition if it cannot itself; an
  /// output whose gradient nobody wants is absent (a null pointer for the kernel).
  void emit(const std::string& suffix, std::shared_ptr<const Op> op, std::vector<TensorId> inputs,
            const std::vector<int>& gradient_of);

 private:
  friend class Autodiff;
  GradientContext(class Autodiff& autodiff, Node node) : autodiff_(autodiff), node_(std::move(node)) {}
  class Autodiff& autodiff_;
  Node node_;
};

/// Appends the backward nodes of `graph`: for every pair (output, its gradient) the loss is the sum of the products.
/// Gradients of weights go into Arena::gradients of the store. Returns the map from tensor to gradient tensor.
std::map<int, TensorId> append_backward(Graph& graph, const std::vector<std::pair<TensorId, TensorId>>& seeds);

}  // namespace roap
