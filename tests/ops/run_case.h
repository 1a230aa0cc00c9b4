#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "engine/graph.h"
#include "tests/ops/op_case.h"

namespace roap {

/// All operators' cases and references, from kernels/ops.def. Registers the references on first use.
struct NamedOperatorTests {
  std::string name;
  OperatorTests tests;
};
const std::vector<NamedOperatorTests>& all_operator_tests();

/// A case as a graph: inputs, the operator (`copies` times on the same inputs, so that gradients accumulate), and the
/// backward nodes for random gradients of its outputs. Runs on one device.
class CaseRun {
 public:
  struct Options {
    int copies = 1;
    bool share_memory = true;
    std::size_t guard_bytes = 0;
  };
  CaseRun(const OpCase& op_case, DeviceKind device, const Options& options);
  CaseRun(const CaseRun&) = delete;

  struct Tensor {
    std::string name;
    TensorSpec spec;
    std::vector<double> values;
  };

  /// Poisons the arena, writes the inputs, runs.
  void run();
  /// Outputs to compare, then gradients of the differentiable inputs.
  [[nodiscard]] std::vector<Tensor> results() const;
  /// Names of blocks whose guard zone was written to.
  [[nodiscard]] std::vector<std::string> damaged_guards() const;

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] Executor& executor() { return *executor_; }
  [[nodiscard]] bool has_gradient() const { return !gradients_.empty(); }
  [[nodiscard]] std::size_t differentiable_inputs() const { return gradients_.size(); }
  /// Values of differentiable input i; a change takes effect at the next run().
  [[nodiscard]] std::vector<double>& input_values(std::size_t i);
  [[nodiscard]] const Tensor& differentiable_input(std::size_t i) const { return inputs_[gradients_[i].first]; }
  /// Gradient of the loss with respect to differentiable input i.
  [[nodiscard]] std::vector<double> gradient(std::size_t i) const;
  /// Sum over outputs of output x output gradient.
  [[nodiscard]] double loss() const;

 private:
  void build(int copies);
  void append_gradient(const std::vector<std::vector<TensorId>>& outputs);
  void write(const Tensor& tensor, TensorId id);
  [[nodiscard]] std::vector<double> read(TensorId id) const;

  const OpCase& case_;
  Options options_;
  ParameterStore store_;
  Graph graph_;
  std::unique_ptr<Executor> executor_;
  std::vector<Tensor> inputs_;  ///< case inputs, then output gradients
  std::vector<TensorId> input_ids_;
  std::vector<TensorId> compared_;
  std::vector<std::pair<TensorId, std::size_t>> losses_;     ///< output, index of its gradient in inputs_
  std::vector<std::pair<std::size_t, TensorId>> gradients_;  ///< index in inputs_, gradient
};

}  // namespace roap
