#include "engine/executor.h"

#include <fmt/format.h>

#include <algorithm>

namespace roap {

namespace {

void run_on_cpu(const Op& op, const RunContext& context) { op.run_cpu(context); }

/// What runs nodes of that operator; throws DeviceError where there is nothing.
auto implementation_of(const Op& op, DeviceKind device) {
  using Run = void (*)(const Op&, const RunContext&);
  Run run = nullptr;
  if (device == DeviceKind::cpu) {
    run = run_on_cpu;
  } else if (device == DeviceKind::cuda) {
    if (const CudaImplementation* cuda = find_cuda(op.type())) run = cuda->run;
  } else if (const Reference* reference = find_reference(op.type())) {
    run = device == DeviceKind::reference_f64 ? reference->run_f64 : reference->run_f32;
  }
  if (run == nullptr) throw DeviceError(fmt::format("[{}] has no {} implementation", op.type(), to_string(device)));
  return run;
}

std::unique_ptr<OpState> prepare_node(const Op& op, DeviceKind device, const Specs& inputs, const Specs& outputs) {
  if (device == DeviceKind::cpu) return op.prepare(inputs, outputs);
  if (device != DeviceKind::cuda) return nullptr;
  const CudaImplementation* cuda = find_cuda(op.type());
  return cuda != nullptr && cuda->prepare != nullptr ? cuda->prepare(op, inputs, outputs) : nullptr;
}

}  // namespace

Executor::Executor(const Graph& graph, PlanOptions options)
    : graph_(graph), device_(graph.store().device()), backend_(backend_of(device_)) {
  prepare_nodes();
  std::vector<std::size_t> workspaces;
  for (const RunContext& context : contexts_) {
    workspaces.push_back(context.state_ ? context.state_->workspace_bytes() : 0);
  }
  plan_ = plan_memory(graph, device_, workspaces, options);
  allocate();
  for (std::size_t n = 0; n < contexts_.size(); ++n) {
    const Node& node = graph.nodes()[n];
    RunContext& context = contexts_[n];
    for (const TensorId input : node.inputs) context.inputs_.push_back(pointer(input));
    for (const TensorId output : node.outputs) context.outputs_.push_back(pointer(output));
    context.accumulate_ = node.accumulate;
    context.workspace_ = arena_.data() + plan_.workspaces[n].offset;
    context.stream_ = backend_.stream();
  }
}

void Executor::prepare_nodes() {
  for (const Node& node : graph_.nodes()) {
    Specs inputs;
    Specs outputs;
    for (const TensorId input : node.inputs) inputs.push_back(graph_.spec(input));
    for (const TensorId output : node.outputs) outputs.push_back(graph_.spec(output));
    functions_.push_back(implementation_of(*node.op, device_));
    RunContext context(inputs, outputs);
    context.state_ = prepare_node(*node.op, device_, inputs, outputs);
    contexts_.push_back(std::move(context));
  }
  bound_.resize(graph_.tensors().size());
}

void Executor::allocate() {
  const std::size_t free = backend_.free_bytes();
  if (free > 0 && plan_.arena_bytes > free) {
    constexpr double kMiB = 1 << 20;
    const MemoryPlan::Block& largest = plan_.largest_block();
    throw DeviceError(fmt::format(
        "{}: a step needs {:.0f} MiB of memory and {:.0f} MiB are free; the largest block is {} with {:.0f} MiB. Use "
        "fewer pairs per step (train.pairs_per_step) or a smaller model, or end other programs on the device",
        backend_.name(), static_cast<double>(plan_.arena_bytes) / kMiB, static_cast<double>(free) / kMiB, largest.name,
        static_cast<double>(largest.bytes) / kMiB));
  }
  arena_ = DeviceBuffer(device_, plan_.arena_bytes);
}

void* Executor::pointer(TensorId tensor) const {
  if (!tensor.present()) return nullptr;
  const TensorInfo& info = graph_.info(tensor);
  if (info.storage == Storage::external) return nullptr;
  if (info.storage == Storage::persistent) return graph_.store().data(info.slot);
  return arena_.data() + plan_.tensors[static_cast<std::size_t>(tensor.index)].offset;
}

void Executor::run() {
  if (timeline_) return run_timed(0, contexts_.size());
  if (!node_work_.empty()) return issue(0, contexts_.size());
  if (recording_) return recording_->replay();
  if (warm_) {
    recording_ = backend_.record([this] { issue(0, contexts_.size()); });
    if (recording_) return recording_->replay();
  }
  issue(0, contexts_.size());
  warm_ = true;
}

void Executor::run(std::size_t first, std::size_t last) { timeline_ ? run_timed(first, last) : issue(first, last); }

void Executor::issue(std::size_t first, std::size_t last) {
  for (std::size_t n = first; n < last; ++n) {
    backend_.begin_range(graph_.nodes()[n].name.c_str());
    functions_[n](*graph_.nodes()[n].op, contexts_[n]);
    backend_.end_range();
    if (!node_work_.empty()) count_work(n);
  }
}

void Executor::count_work(std::size_t node) {
  const Op& op = *graph_.nodes()[node].op;
  const RunContext& context = contexts_[node];
  node_work_[node] =
      device_ == DeviceKind::cpu ? op.work_on_cpu(context) : op.work(context.input_specs(), context.output_specs());
}

void Executor::run_timed(std::size_t first, std::size_t last) {
  timeline_->mark(first);
  for (std::size_t n = first; n < last; ++n) {
    issue(n, n + 1);
    timeline_->mark(n + 1);
  }
  for (std::size_t n = first; n < last; ++n) node_seconds_[n] += timeline_->seconds(n, n + 1);
}

void Executor::start_timing() {
  node_seconds_.assign(contexts_.size(), 0.0);
  if (!timeline_) timeline_ = backend_.timeline(contexts_.size() + 1);
}

void Executor::stop_timing() { timeline_.reset(); }

void Executor::check_writable(TensorId tensor, DType dtype, std::size_t values) const {
  const TensorInfo& info = graph_.info(tensor);
  const bool both_real = is_real(dtype) && is_real(info.spec.dtype);
  expect_spec("write", info.name, info.spec, {both_real ? info.spec.dtype : dtype, info.spec.shape});
  expect_extent("write", info.name + " elements", static_cast<std::int64_t>(values), info.spec.shape.count());
}

template <class T>
void Executor::write_raw(TensorId tensor, DType dtype, std::span<const T> values) {
  check_writable(tensor, dtype, values.size());
  if constexpr (std::is_floating_point_v<T>) {
    write_reals(device_, graph_.spec(tensor).dtype, pointer(tensor), values);
  } else {
    backend_.upload(pointer(tensor), values.data(), values.size_bytes());
  }
}

void Executor::write(TensorId tensor, std::span<const float> values) { write_raw(tensor, DType::f32, values); }
void Executor::write(TensorId tensor, std::span<const std::int32_t> values) { write_raw(tensor, DType::i32, values); }
void Executor::write(TensorId tensor, std::span<const std::uint32_t> values) { write_raw(tensor, DType::u32, values); }
void Executor::write(TensorId tensor, std::span<const std::uint8_t> values) { write_raw(tensor, DType::u8, values); }
void Executor::write_f64(TensorId tensor, std::span<const double> values) { write_raw(tensor, DType::f32, values); }

template <class T>
void Executor::bind_raw(TensorId tensor, DType dtype, std::span<const T> values) {
  const TensorInfo& info = graph_.info(tensor);
  expect_spec("bind", info.name, info.spec, {dtype, info.spec.shape});
  expect_extent("bind", info.name + " elements", static_cast<std::int64_t>(values.size()), info.spec.shape.count());
  const void* data = values.data();
  DeviceBuffer& copy = bound_[static_cast<std::size_t>(tensor.index)];
  if (device_ == DeviceKind::cuda) {
    if (copy.data() == nullptr) copy = DeviceBuffer(device_, values.size_bytes());
    backend_.upload(copy.data(), data, values.size_bytes());
    data = copy.data();
  }
  for (std::size_t n = 0; n < contexts_.size(); ++n) {
    for (std::size_t i = 0; i < contexts_[n].inputs_.size(); ++i) {
      if (graph_.nodes()[n].inputs[i] == tensor) contexts_[n].inputs_[i] = data;
    }
  }
}

void Executor::bind(TensorId tensor, std::span<const std::uint8_t> values) { bind_raw(tensor, DType::u8, values); }
void Executor::bind(TensorId tensor, std::span<const std::int32_t> values) { bind_raw(tensor, DType::i32, values); }
void Executor::bind(TensorId tensor, std::span<const float> values) { bind_raw(tensor, DType::f32, values); }

void Executor::check_readable(TensorId tensor) const {
  if (!graph_.info(tensor).keep || graph_.info(tensor).storage == Storage::external)
    throw ShapeError(fmt::format("tensor {} is not kept after a run", graph_.info(tensor).name));
}

template <class T>
std::vector<T> Executor::read_raw(TensorId tensor) const {
  check_readable(tensor);
  std::vector<T> values(static_cast<std::size_t>(graph_.shape(tensor).count()));
  if constexpr (std::is_floating_point_v<T>) {
    read_reals(device_, graph_.spec(tensor).dtype, pointer(tensor), std::span<T>(values));
  } else {
    backend_.download(values.data(), pointer(tensor), values.size() * sizeof(T));
  }
  return values;
}

std::vector<float> Executor::read(TensorId tensor) const { return read_raw<float>(tensor); }
std::vector<double> Executor::read_f64(TensorId tensor) const { return read_raw<double>(tensor); }
std::vector<std::int32_t> Executor::read_i32(TensorId tensor) const { return read_raw<std::int32_t>(tensor); }
std::vector<std::uint32_t> Executor::read_u32(TensorId tensor) const { return read_raw<std::uint32_t>(tensor); }
std::vector<std::uint8_t> Executor::read_u8(TensorId tensor) const { return read_raw<std::uint8_t>(tensor); }

float Executor::read_scalar(TensorId tensor) const {
  check_readable(tensor);
  float value = 0;
  read_reals(device_, graph_.spec(tensor).dtype, pointer(tensor), std::span<float>(&value, 1));
  return value;
}

void Executor::request(Readback& readback, std::size_t offset, TensorId tensor) const {
  check_readable(tensor);
  const std::size_t count = static_cast<std::size_t>(graph_.shape(tensor).count());
  readback.request(offset, pointer(tensor), count * element_size(device_, graph_.spec(tensor).dtype));
}

std::vector<std::byte> Executor::read_arena() const {
  std::vector<std::byte> bytes(arena_.size());
  backend_.download(bytes.data(), arena_.data(), bytes.size());
  return bytes;
}

}  // namespace roap
