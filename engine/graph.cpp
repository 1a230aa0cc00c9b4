#include "engine/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace roap {

TensorId Graph::add(TensorInfo info) {
  tensors_.push_back(std::move(info));
  return {static_cast<int>(tensors_.size()) - 1};
}

TensorId Graph::input(std::string name, TensorSpec spec, bool wants_gradient) {
  return add({std::move(name), spec, Storage::input, {}, wants_gradient, true});
}

TensorId Graph::external(std::string name, TensorSpec spec) {
  return add({std::move(name), spec, Storage::external, {}, false, true});
}

TensorId Graph::parameter(const std::string& name, Shape shape, Initializer initializer) {
  return parameter(name, shape, initializer, {});
}

TensorId Graph::parameter(const std::string& name, Shape shape, Initializer initializer, const TapWindow& taps) {
  const Slot slot = store_->declare(name, shape, initializer, taps);
  return add({name, f32(slot.stored_shape()), Storage::persistent, slot, true, true});
}

TensorId Graph::buffer(const std::string& name, Shape shape, Initializer initializer) {
  return add({name, f32(shape), Storage::persistent, store_->declare_buffer(name, shape, initializer), false, true});
}

TensorId Graph::persistent(std::string name, const Slot& slot) {
  return add({std::move(name), f32(slot.stored_shape()), Storage::persistent, slot, false, true});
}

TensorId Graph::activation(std::string name, TensorSpec spec) {
  return add({std::move(name), spec, Storage::activation, {}, false, false});
}

std::vector<TensorId> Graph::apply(std::string name, std::shared_ptr<const Op> op, std::vector<TensorId> inputs) {
  Specs specs;
  bool wants_gradient = false;
  for (const TensorId input : inputs) {
    specs.push_back(spec(input));
    wants_gradient = wants_gradient || (input.present() && info(input).wants_gradient);
  }
  Node node{std::move(name), std::move(op), std::move(inputs), {}, {}};
  const Specs outputs = node.op->infer(specs);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorId output = activation(i == 0 ? node.name : fmt::format("{}.{}", node.name, i), outputs[i]);
    tensors_.back().wants_gradient = wants_gradient && is_real(outputs[i].dtype);
    node.outputs.push_back(output);
    node.accumulate.push_back(false);
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

void Graph::apply_into(std::string name, std::shared_ptr<const Op> op, std::vector<TensorId> inputs,
                       std::vector<TensorId> outputs, std::vector<bool> accumulate) {
  Specs specs;
  for (const TensorId input : inputs) specs.push_back(spec(input));
  const Specs inferred = op->infer(specs);
  expect_extent(op->type(), "number of outputs", static_cast<std::int64_t>(outputs.size()),
                static_cast<std::int64_t>(inferred.size()));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].present()) expect_spec(op->type(), info(outputs[i]).name, spec(outputs[i]), inferred[i]);
  }
  accumulate.resize(outputs.size(), false);
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs), std::move(outputs), std::move(accumulate)});
}

void Graph::replace_nodes(const std::vector<std::size_t>& positions, Node node) {
  nodes_[positions.back()] = std::move(node);
  for (std::size_t i = positions.size() - 1; i-- > 0;) {
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(positions[i]));
  }
}

TensorId Graph::keep(TensorId tensor) {
  tensors_[static_cast<std::size_t>(tensor.index)].keep = true;
  return tensor;
}

TensorId Graph::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorInfo& t) { return t.name == name; });
  if (found == tensors_.end()) throw UsageError(fmt::format("the graph has no tensor named {}", name));
  return {static_cast<int>(found - tensors_.begin())};
}

std::string Graph::text() const {
  std::string text;
  const auto list = [&](const std::vector<TensorId>& ids) {
    std::string names;
    for (const TensorId id : ids) {
      if (!names.empty()) names += ", ";
      names += id.present() ? info(id).name + info(id).spec.shape.text() : "-";
    }
    return names;
  };
  for (const Node& node : nodes_) {
    text += fmt::format("{:<40} {:<26} {} -> {}\n", node.name, node.op->type(), list(node.inputs), list(node.outputs));
  }
  return text;
}

}  // namespace roap
