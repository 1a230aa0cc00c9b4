#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tensor.h"
#include "kernels/common/cuda_types.h"

namespace roap {

class GradientContext;

/// Where a graph runs. The references are plain loops that define every operator; they are registered by the tests
/// only.
enum class DeviceKind { cpu, cuda, reference_f32, reference_f64 };

std::string_view to_string(DeviceKind device);

using Specs = std::vector<TensorSpec>;

/// Every tensor and workspace starts at a multiple of so many bytes.
inline constexpr std::size_t kArenaAlignment = 256;

/// What a node keeps between runs on one executor, for example oneDNN primitives. Made once, before the first run.
class OpState {
 public:
  OpState() = default;
  OpState(const OpState&) = delete;
  OpState& operator=(const OpState&) = delete;
  virtual ~OpState() = default;
  /// Scratch memory the node needs while it runs; the planner places it in the arena.
  [[nodiscard]] virtual std::size_t workspace_bytes() const { return 0; }
};

/// State of a node that needs scratch memory and nothing else.
class WorkspaceState : public OpState {
 public:
  explicit WorkspaceState(std::size_t bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return bytes_; }

 private:
  std::size_t bytes_;
};

/// Pointers of one node for one run. T is the storage type on the device: float (cpu, cuda, reference_f32) or double
/// (reference_f64) for f32 tensors; what a bf16 tensor is, DType says. An absent input or output is a null pointer.
class RunContext {
 public:
  RunContext(Specs input_specs, Specs output_specs)
      : input_specs_(std::move(input_specs)), output_specs_(std::move(output_specs)) {}

  template <class T>
  [[nodiscard]] const T* in(std::size_t i) const {
    return static_cast<const T*>(inputs_[i]);
  }
  template <class T>
  [[nodiscard]] T* out(std::size_t i) const {
    return static_cast<T*>(outputs_[i]);
  }
  /// True when output i must be added to what is there (a gradient with several contributions).
  [[nodiscard]] bool accumulate(std::size_t i) const { return accumulate_[i]; }
  [[nodiscard]] const Specs& input_specs() const { return input_specs_; }
  [[nodiscard]] const Specs& output_specs() const { return output_specs_; }
  [[nodiscard]] const Shape& in_shape(std::size_t i) const { return input_specs_[i].shape; }
  [[nodiscard]] const Shape& out_shape(std::size_t i) const { return output_specs_[i].shape; }
  [[nodiscard]] DType in_dtype(std::size_t i) const { return input_specs_[i].dtype; }
  [[nodiscard]] DType out_dtype(std::size_t i) const { return output_specs_[i].dtype; }
  /// Where a CUDA kernel is launched.
  [[nodiscard]] cuda::Stream stream() const { return stream_; }
  /// Scratch memory of OpState::workspace_bytes(), aligned to kArenaAlignment.
  template <class T = std::byte>
  [[nodiscard]] T* workspace() const {
    return static_cast<T*>(workspace_);
  }
  template <class State>
  [[nodiscard]] State& state() const {
    return static_cast<State&>(*state_);
  }

 private:
  friend class Executor;
  Specs input_specs_, output_specs_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  std::vector<bool> accumulate_;
  void* workspace_ = nullptr;
  cuda::Stream stream_ = nullptr;
  std::unique_ptr<OpState> state_;
};

/// Counted work of one run, for benchmarks and profiles.
struct Work {
  double flop = 0;        ///< useful floating-point operations (a multiply-add counts two)
  double bytes = 0;       ///< bytes that must be read and written at least once
  double dense_flop = 0;  ///< of an implementation without our exact savings; 0: as many as flop
  bool bf16 = false;      ///< products may use tensor cores in bf16
  [[nodiscard]] double dense() const { return dense_flop > 0 ? dense_flop : flop; }
};

/// One operator of the graph with the user's parameters. Immutable; shared by nodes.
class Op {
 public:
  Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  virtual ~Op() = default;

  /// Unique name such as "conv2d" or "conv2d_backward_data"; references are registered under it.
  [[nodiscard]] virtual std::string_view type() const = 0;
  /// Output specs; throws ShapeError where inputs do not fit.
  [[nodiscard]] virtual Specs infer(const Specs& inputs) const = 0;
  /// Appends the backward nodes. The default says that the operator has no gradient (an error where one is asked for).
  virtual void gradient(GradientContext& context) const;
  /// May output i be added to instead of overwritten (RunContext::accumulate)?
  [[nodiscard]] virtual bool can_accumulate(std::size_t output) const { return false; }
  /// Called once per node and executor on the CPU.
  [[nodiscard]] virtual std::unique_ptr<OpState> prepare(const Specs& inputs, const Specs& outputs) const {
    return nullptr;
  }
  virtual void run_cpu(const RunContext& context) const = 0;
  [[nodiscard]] virtual Work work(const Specs& inputs, const Specs& outputs) const { return {}; }
  /// The same where it depends on values, too: those of a node that has just run on the CPU.
  [[nodiscard]] virtual Work work_on_cpu(const RunContext& context) const {
    return work(context.input_specs(), context.output_specs());
  }
};

/// An operator that keeps the user's choices.
template <class Params>
class OpWith : public Op {
 public:
  explicit OpWith(Params params) : params_(std::move(params)) {}
  [[nodiscard]] const Params& params() const { return params_; }

 private:
  Params params_;
};

/// How nodes of one Op::type() run on CUDA. Each operator's folder registers its own (OP_cuda_op.cpp), so that a
/// program without CUDA needs none of it.
struct CudaImplementation {
  using Run = void (*)(const Op& op, const RunContext& context);
  using Prepare = std::unique_ptr<OpState> (*)(const Op& op, const Specs& inputs, const Specs& outputs);
  Run run = nullptr;
  Prepare prepare = nullptr;  ///< like Op::prepare; null: nothing to keep
};

void register_cuda(std::string_view type, CudaImplementation implementation);
/// Null where none is registered.
const CudaImplementation* find_cuda(std::string_view type);

/// The definition of an operator: plain loops in float and double. Tests register one for every Op::type().
struct Reference {
  using Run = void (*)(const Op& op, const RunContext& context);
  Run run_f32 = nullptr;
  Run run_f64 = nullptr;
};

void register_reference(std::string_view type, Reference reference);
/// Null where none is registered.
const Reference* find_reference(std::string_view type);

}  // namespace roap
