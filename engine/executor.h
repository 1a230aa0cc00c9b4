#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/device.h"
#include "engine/graph.h"
#include "engine/planner.h"

namespace roap {

/// Runs a graph on one device. Plans and allocates once; `run` allocates nothing.
class Executor {
 public:
  /// The store must be allocated and on the same device. Throws DeviceError where the device has too little memory
  /// (naming the largest block) or an operator has no implementation for it.
  explicit Executor(const Graph& graph, PlanOptions options = {});

  /// Runs all nodes. A CUDA device records the second run and replays it from then on; the call returns before the work
  /// is done, and reading waits for it.
  void run();
  /// Runs nodes [first, last) only.
  void run(std::size_t first, std::size_t last);

  /// Writes an input. The tensor's dtype must be f32 / i32 / u32 / u8 as the value's type says.
  void write(TensorId tensor, std::span<const float> values);
  void write_f64(TensorId tensor, std::span<const double> values);  ///< f32 or bf16 tensor on any device
  void write(TensorId tensor, std::span<const std::int32_t> values);
  void write(TensorId tensor, std::span<const std::uint32_t> values);
  void write(TensorId tensor, std::span<const std::uint8_t> values);
  /// Points an external tensor at memory that outlives the executor (or the next bind). A CUDA device copies it, now.
  void bind(TensorId tensor, std::span<const std::uint8_t> values);
  void bind(TensorId tensor, std::span<const std::int32_t> values);
  void bind(TensorId tensor, std::span<const float> values);
  /// Reads a tensor after a run; it must be an input, persistent, or kept (Graph::keep).
  [[nodiscard]] std::vector<float> read(TensorId tensor) const;
  [[nodiscard]] std::vector<double> read_f64(TensorId tensor) const;
  [[nodiscard]] std::vector<std::int32_t> read_i32(TensorId tensor) const;
  [[nodiscard]] std::vector<std::uint32_t> read_u32(TensorId tensor) const;
  [[nodiscard]] std::vector<std::uint8_t> read_u8(TensorId tensor) const;
  /// First element of a kept f32 tensor.
  [[nodiscard]] float read_scalar(TensorId tensor) const;
  /// Asks for a copy of a kept f32 tensor's present values, at `offset` (bytes) of the buffer; does not wait.
  void request(Readback& readback, std::size_t offset, TensorId tensor) const;

  [[nodiscard]] const MemoryPlan& plan() const { return plan_; }
  [[nodiscard]] Backend& backend() const { return backend_; }
  /// What a node works on; valid until the executor ends.
  [[nodiscard]] const RunContext& context(std::size_t node) const { return contexts_[node]; }
  /// Seconds spent in each node since `start_timing`. Timed runs are not replayed from a recording.
  void start_timing();
  void stop_timing();
  [[nodiscard]] const std::vector<double>& node_seconds() const { return node_seconds_; }
  /// While counting, every run of a node also counts its work, on the CPU by the values it worked on.
  void start_counting() { node_work_.assign(contexts_.size(), {}); }
  void stop_counting() { node_work_.clear(); }
  [[nodiscard]] const std::vector<Work>& node_work() const { return node_work_; }
  /// For tests: the arena, filled before a run to find reads of memory that no node wrote, and looked at afterwards.
  void fill_arena(std::byte value) { backend_.fill(arena_.data(), value, arena_.size()); }
  [[nodiscard]] std::vector<std::byte> read_arena() const;

 private:
  void* pointer(TensorId tensor) const;
  void prepare_nodes();
  void allocate();
  void run_timed(std::size_t first, std::size_t last);
  void issue(std::size_t first, std::size_t last);
  void count_work(std::size_t node);
  template <class T>
  void write_raw(TensorId tensor, DType dtype, std::span<const T> values);
  template <class T>
  void bind_raw(TensorId tensor, DType dtype, std::span<const T> values);
  template <class T>
  [[nodiscard]] std::vector<T> read_raw(TensorId tensor) const;
  void check_writable(TensorId tensor, DType dtype, std::size_t values) const;
  void check_readable(TensorId tensor) const;

  const Graph& graph_;
  DeviceKind device_;
  Backend& backend_;
  std::vector<RunContext> contexts_;
  std::vector<void (*)(const Op&, const RunContext&)> functions_;  ///< one per node
  MemoryPlan plan_;
  DeviceBuffer arena_;
  std::vector<DeviceBuffer> bound_;  ///< copies of external tensors, by tensor; empty on the host
  std::unique_ptr<Recording> recording_;
  bool warm_ = false;  ///< all nodes ran once, so that kernels are loaded and may be recorded
  std::unique_ptr<Timeline> timeline_;
  std::vector<double> node_seconds_;
  std::vector<Work> node_work_;  ///< empty unless counting
};

}  // namespace roap
