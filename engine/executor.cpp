#include "engine/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace roap {

namespace {

void run_node(const Node& node, const RunContext& context, DeviceKind device) {
  if (device == DeviceKind::cpu) return node.op->run_cpu(context);
  const Reference* reference = find_reference(node.op->type());
  const auto run = reference == nullptr                  ? nullptr
                   : device == DeviceKind::reference_f64 ? reference->run_f64
                                                         : reference->run_f32;
  if (run == nullptr)
    throw DeviceError(fmt::format("[{}] has no {} implementation", node.op->type(), to_string(device)));
  run(*node.op, context);
}

}  // namespace

Executor::Executor(const Graph& graph, PlanOptions options) : graph_(graph), device_(graph.store().device()) {
  prepare_nodes();
  std::vector<std::size_t> workspaces;
  for (const RunContext& context : contexts_) {
    workspaces.push_back(context.state_ ? context.state_->workspace_bytes() : 0);
  }
  plan_ = plan_memory(graph, device_, workspaces, options);
  arena_ = DeviceBuffer(plan_.arena_bytes);
  for (std::size_t n = 0; n < contexts_.size(); ++n) {
    const Node& node = graph.nodes()[n];
    RunContext& context = contexts_[n];
    for (const TensorId input : node.inputs) context.inputs_.push_back(pointer(input));
    for (const TensorId output : node.outputs) context.outputs_.push_back(pointer(output));
    context.accumulate_ = node.accumulate;
    context.workspace_ = arena_.data() + plan_.workspaces[n].offset;
  }
}

void Executor::prepare_nodes() {
  for (const Node& node : graph_.nodes()) {
    Specs inputs;
    Specs outputs;
    for (const TensorId input : node.inputs) inputs.push_back(graph_.spec(input));
    for (const TensorId output : node.outputs) outputs.push_back(graph_.spec(output));
    RunContext context(inputs, outputs);
    if (device_ == DeviceKind::cpu) context.state_ = node.op->prepare(inputs, outputs);
    contexts_.push_back(std::move(context));
  }
}

void* Executor::pointer(TensorId tensor) const {
  if (!tensor.present()) return nullptr;
  const TensorInfo& info = graph_.info(tensor);
  if (info.storage == Storage::external) return nullptr;
  if (info.storage == Storage::persistent) return graph_.store().data(info.slot);
  return arena_.data() + plan_.tensors[static_cast<std::size_t>(tensor.index)].offset;
}

void Executor::run() { run(0, contexts_.size()); }

void Executor::run(std::size_t first, std::size_t last) {
  if (node_seconds_.empty()) {
    for (std::size_t n = first; n < last; ++n) run_node(graph_.nodes()[n], contexts_[n], device_);
    return;
  }
  using Clock = std::chrono::steady_clock;
  auto before = Clock::now();
  for (std::size_t n = first; n < last; ++n) {
    run_node(graph_.nodes()[n], contexts_[n], device_);
    const auto after = Clock::now();
    node_seconds_[n] += std::chrono::duration<double>(after - before).count();
    before = after;
  }
}

void Executor::start_timing() { node_seconds_.assign(contexts_.size(), 0.0); }

void Executor::check_writable(TensorId tensor, DType dtype, std::size_t values) const {
  const TensorInfo& info = graph_.info(tensor);
  expect_spec("write", info.name, info.spec, {dtype, info.spec.shape});
  expect_extent("write", info.name + " elements", static_cast<std::int64_t>(values), info.spec.shape.count());
}

template <class T>
void Executor::write_raw(TensorId tensor, DType dtype, std::span<const T> values) {
  check_writable(tensor, dtype, values.size());
  if constexpr (std::is_same_v<T, float>) {
    write_reals(device_, pointer(tensor), values);
  } else {
    std::copy(values.begin(), values.end(), static_cast<T*>(pointer(tensor)));
  }
}

void Executor::write(TensorId tensor, std::span<const float> values) { write_raw(tensor, DType::f32, values); }
void Executor::write(TensorId tensor, std::span<const std::int32_t> values) { write_raw(tensor, DType::i32, values); }
void Executor::write(TensorId tensor, std::span<const std::uint32_t> values) { write_raw(tensor, DType::u32, values); }
void Executor::write(TensorId tensor, std::span<const std::uint8_t> values) { write_raw(tensor, DType::u8, values); }

void Executor::write_f64(TensorId tensor, std::span<const double> values) {
  check_writable(tensor, DType::f32, values.size());
  write_reals(device_, pointer(tensor), values);
}

void Executor::bind(TensorId tensor, std::span<const std::uint8_t> values) {
  const TensorInfo& info = graph_.info(tensor);
  expect_spec("bind", info.name, info.spec, u8(info.spec.shape));
  expect_extent("bind", info.name + " elements", static_cast<std::int64_t>(values.size()), info.spec.shape.count());
  for (std::size_t n = 0; n < contexts_.size(); ++n) {
    for (std::size_t i = 0; i < contexts_[n].inputs_.size(); ++i) {
      if (graph_.nodes()[n].inputs[i] == tensor) contexts_[n].inputs_[i] = values.data();
    }
  }
}

void Executor::check_readable(TensorId tensor) const {
  if (!graph_.info(tensor).keep || graph_.info(tensor).storage == Storage::external)
    throw ShapeError(fmt::format("tensor {} is not kept after a run", graph_.info(tensor).name));
}

std::vector<float> Executor::read(TensorId tensor) const {
  check_readable(tensor);
  std::vector<float> values(static_cast<std::size_t>(graph_.shape(tensor).count()));
  read_reals(device_, pointer(tensor), values);
  return values;
}

std::vector<double> Executor::read_f64(TensorId tensor) const {
  check_readable(tensor);
  std::vector<double> values(static_cast<std::size_t>(graph_.shape(tensor).count()));
  read_reals(device_, pointer(tensor), values);
  return values;
}

std::vector<std::int32_t> Executor::read_i32(TensorId tensor) const {
  check_readable(tensor);
  const auto* data = static_cast<const std::int32_t*>(pointer(tensor));
  return {data, data + graph_.shape(tensor).count()};
}

std::vector<std::uint8_t> Executor::read_u8(TensorId tensor) const {
  check_readable(tensor);
  const auto* data = static_cast<const std::uint8_t*>(pointer(tensor));
  return {data, data + graph_.shape(tensor).count()};
}

float Executor::read_scalar(TensorId tensor) const {
  check_readable(tensor);
  float value = 0;
  read_reals(device_, pointer(tensor), std::span<float>(&value, 1));
  return value;
}

}  // namespace roap
