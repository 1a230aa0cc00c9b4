#include "engine/autodiff.h"

#include <fmt/format.h>

#include "engine/add_in_place.h"

namespace roap {

class Autodiff {
 public:
  explicit Autodiff(Graph& graph) : graph_(graph) {}

  Graph& graph() { return graph_; }

  [[nodiscard]] TensorId gradient_of(TensorId tensor) const {
    const auto found = gradients_.find(tensor.index);
    return found == gradients_.end() ? TensorId{} : found->second;
  }

  /// The tensor that the next contribution to the gradient of `tensor` goes to, and whether it must be added.
  std::pair<TensorId, bool> target(TensorId tensor) {
    if (const TensorId existing = gradient_of(tensor); existing.present()) return {existing, true};
    const TensorInfo info = graph_.info(tensor);
    TensorId gradient;
    if (info.storage == Storage::persistent) {
      Slot slot = info.slot;
      slot.arena = Arena::gradients;
      gradient = graph_.persistent("grad." + info.name, slot);
    } else {
      gradient = graph_.activation("grad." + info.name, info.spec);
    }
    gradients_[tensor.index] = gradient;
    return {gradient, false};
  }

  void run(const std::vector<std::pair<TensorId, TensorId>>& seeds) {
    for (const auto& [output, gradient] : seeds) gradients_[output.index] = gradient;
    const std::size_t forward_nodes = graph_.nodes().size();
    for (std::size_t i = forward_nodes; i-- > 0;) {
      const Node node = graph_.nodes()[i];
      bool needed = false;
      for (const TensorId output : node.outputs) {
        needed = needed || (output.present() && graph_.info(output).wants_gradient && gradient_of(output).present());
      }
      if (!needed) continue;
      GradientContext context(*this, node);
      node.op->gradient(context);
    }
  }

  std::map<int, TensorId> take() { return std::move(gradients_); }

 private:
  Graph& graph_;
  std::map<int, TensorId> gradients_;
};

TensorId GradientContext::grad(std::size_t output) const { return autodiff_.gradient_of(node_.outputs[output]); }

bool GradientContext::wants(std::size_t input) const {
  return node_.inputs[input].present() && autodiff_.graph().info(node_.inputs[input]).wants_gradient;
}

Specs GradientContext::input_specs() const {
  Specs specs;
  for (const TensorId input : node_.inputs) specs.push_back(autodiff_.graph().spec(input));
  return specs;
}

void GradientContext::emit(const std::string& suffix, std::shared_ptr<const Op> op, std::vector<TensorId> inputs,
                           const std::vector<int>& gradient_of) {
  Graph& graph = autodiff_.graph();
  std::vector<TensorId> outputs;
  std::vector<bool> accumulate;
  std::vector<std::pair<TensorId, TensorId>> additions;  // temporary, sum
  for (std::size_t k = 0; k < gradient_of.size(); ++k) {
    const int input = gradient_of[k];
    if (input == kNone || !wants(static_cast<std::size_t>(input))) {
      outputs.emplace_back();
      accumulate.push_back(false);
      continue;
    }
    const TensorId tensor = node_.inputs[static_cast<std::size_t>(input)];
    auto [gradient, add] = autodiff_.target(tensor);
    if (add && !op->can_accumulate(k)) {
      const TensorId temporary = graph.activation("part." + graph.info(tensor).name, graph.spec(gradient));
      additions.emplace_back(temporary, gradient);
      gradient = temporary;
      add = false;
    }
    outputs.push_back(gradient);
    accumulate.push_back(add);
  }
  graph.apply_into(node_.name + "." + suffix, std::move(op), std::move(inputs), outputs, accumulate);
  for (const auto& [temporary, sum] : additions) {
    graph.apply_into(node_.name + ".add", std::make_shared<AddInPlaceOp>(), {temporary}, {sum}, {true});
  }
}

std::map<int, TensorId> append_backward(Graph& graph, const std::vector<std::pair<TensorId, TensorId>>& seeds) {
  Autodiff autodiff(graph);
  autodiff.run(seeds);
  return autodiff.take();
}

}  // namespace roap
