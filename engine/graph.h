#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/op.h"
#include "engine/parameters.h"

namespace roap {

/// Index of a tensor in its graph; default-constructed: absent.
struct TensorId {
  int index = -1;
  [[nodiscard]] bool present() const { return index >= 0; }
  bool operator==(const TensorId&) const = default;
};

enum class Storage {
  input,       ///< written by the host before a run; lives in the arena for the whole run
  external,    ///< host memory bound before the first run and only read (data sets)
  persistent,  ///< slot of the ParameterStore: weights, their gradients, buffers, optimizer state
  activation,  ///< written by a node; placed in the arena by liveness
};

struct TensorInfo {
  std::string name;
  TensorSpec spec;
  Storage storage = Storage::activation;
  Slot slot;                    ///< of a persistent tensor
  bool wants_gradient = false;  ///< weights, differentiable inputs and all that depends on them
  bool keep = false;            ///< readable by the host after a run: never overwritten by later nodes
};

struct Node {
  std::string name;  ///< path in the model, "grounder.layer1.0.conv1"
  std::shared_ptr<const Op> op;
  std::vector<TensorId> inputs;
  std::vector<TensorId> outputs;
  std::vector<bool> accumulate;  ///< one per output
};

/// A static graph: nodes in execution order. Built once, then run by executors; builders validate shapes as they
/// append.
class Graph {
 public:
  explicit Graph(ParameterStore& store) : store_(&store) {}

  /// A tensor that the host writes before each run.
  TensorId input(std::string name, TensorSpec spec, bool wants_gradient = false);
  /// A tensor that lies in memory bound by Executor::bind.
  TensorId external(std::string name, TensorSpec spec);
  /// A trainable weight of the store, declared there at first use.
  TensorId parameter(const std::string& name, Shape shape, Initializer initializer);
  /// The weights [co, ci, kh, kw] of a convolution, of which these taps are in memory, as [co, rows, columns, ci].
  TensorId parameter(const std::string& name, Shape shape, Initializer initializer, const TapWindow& taps);
  /// A persistent tensor without gradient (running statistics).
  TensorId buffer(const std::string& name, Shape shape, Initializer initializer);
  /// A view of a persistent slot, for example a whole arena (see ParameterStore::all).
  TensorId persistent(std::string name, const Slot& slot);

  /// Appends a node whose outputs are new activations; returns them.
  std::vector<TensorId> apply(std::string name, std::shared_ptr<const Op> op, std::vector<TensorId> inputs);
  /// Appends a node that writes into existing tensors (shapes must be what the operator infers; absent ones are
  /// skipped).
  void apply_into(std::string name, std::shared_ptr<const Op> op, std::vector<TensorId> inputs,
                  std::vector<TensorId> outputs, std::vector<bool> accumulate = {});
  TensorId activation(std::string name, TensorSpec spec);

  /// Takes nodes out, by their positions in ascending order, and puts `node` where the last one of them was.
  void replace_nodes(const std::vector<std::size_t>& positions, Node node);

  /// Keeps the tensor's value until the end of the run, so that Executor::read works. Returns it.
  TensorId keep(TensorId tensor);

  [[nodiscard]] const TensorInfo& info(TensorId tensor) const {
    return tensors_[static_cast<std::size_t>(tensor.index)];
  }
  [[nodiscard]] TensorSpec spec(TensorId tensor) const { return tensor.present() ? info(tensor).spec : TensorSpec{}; }
  [[nodiscard]] const Shape& shape(TensorId tensor) const { return info(tensor).spec.shape; }
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  /// The tensor of that name; throws UsageError where there is none.
  [[nodiscard]] TensorId find(std::string_view name) const;
  [[nodiscard]] ParameterStore& store() const { return *store_; }
  /// One line per node: name, operator, inputs and outputs with shapes.
  [[nodiscard]] std::string text() const;

 private:
  TensorId add(TensorInfo info);
  ParameterStore* store_;
  std::vector<TensorInfo> tensors_;
  std::vector<Node> nodes_;
};

}  // namespace roap
