#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/device.h"
#include "engine/graph.h"
#include "engine/planner.h"

namespace roap {

/// Runs a graph on one device. Plans and allocates once; `run` allocates nothing.
class Executor {
 public:
  /// The store must be allocated and on the same device.
  explicit Executor(const Graph& graph, PlanOptions options = {});

  void run();
  /// Runs nodes [first, last) only.
  void run(std::size_t first, std::size_t last);

  /// Writes an input. The tensor's dtype must be f32 / i32 / u32 / u8 as the value's type says.
  void write(TensorId tensor, std::span<const float> values);
  void write_f64(TensorId tensor, std::span<const double> values);  ///< f32 tensor on any device
  void write(TensorId tensor, std::span<const std::int32_t> values);
  void write(TensorId tensor, std::span<const std::uint32_t> values);
  void write(TensorId tensor, std::span<const std::uint8_t> values);
  /// Points an external tensor at memory that outlives the executor.
  void bind(TensorId tensor, std::span<const std::uint8_t> values);
  /// Reads a tensor after a run; it must be an input, persistent, or kept (Graph::keep).
  [[nodiscard]] std::vector<float> read(TensorId tensor) const;
  [[nodiscard]] std::vector<double> read_f64(TensorId tensor) const;
  [[nodiscard]] std::vector<std::int32_t> read_i32(TensorId tensor) const;
  [[nodiscard]] std::vector<std::uint8_t> read_u8(TensorId tensor) const;
  /// First element of a kept f32 tensor, without allocation.
  [[nodiscard]] float read_scalar(TensorId tensor) const;

  [[nodiscard]] const MemoryPlan& plan() const { return plan_; }
  /// Seconds spent in each node since `start_timing`.
  void start_timing();
  [[nodiscard]] const std::vector<double>& node_seconds() const { return node_seconds_; }
  /// For tests: the arena itself, filled before a run to find reads of memory that no node wrote.
  [[nodiscard]] std::span<std::byte> arena() const { return {arena_.data(), arena_.size()}; }

 private:
  void* pointer(TensorId tensor) const;
  void prepare_nodes();
  template <class T>
  void write_raw(TensorId tensor, DType dtype, std::span<const T> values);
  void check_writable(TensorId tensor, DType dtype, std::size_t values) const;
  void check_readable(TensorId tensor) const;

  const Graph& graph_;
  DeviceKind device_;
  std::vector<RunContext> contexts_;
  MemoryPlan plan_;
  DeviceBuffer arena_;
  std::vector<double> node_seconds_;
};

}  // namespace roap
