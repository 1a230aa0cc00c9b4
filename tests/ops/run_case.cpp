#include "tests/ops/run_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/add_in_place.h"
#include "engine/autodiff.h"
#include "kernels/common/philox.h"

namespace roap {

#define ROAP_OPERATOR(NAME) OperatorTests NAME##_tests();
#include "kernels/ops.def"
#undef ROAP_OPERATOR

namespace {

template <class Real>
void run_add_in_place(const Op& /*op*/, const RunContext& context) {
  add_in_place<Real>(context);
}

std::vector<NamedOperatorTests> collect_operator_tests() {
  std::vector<NamedOperatorTests> all;
#define ROAP_OPERATOR(NAME) all.push_back({#NAME, NAME##_tests()});
#include "kernels/ops.def"
#undef ROAP_OPERATOR
  for (const NamedOperatorTests& op : all) {
    for (const auto& [type, reference] : op.tests.references) register_reference(type, reference);
  }
  register_reference("add_in_place", ROAP_REFERENCE(run_add_in_place));
  return all;
}

/// Deterministic values, the same on every device.
std::vector<double> draw_values(const CaseInput& input, const std::string& salt) {
  if (input.fill == CaseInput::Fill::values) return input.values;
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : salt + input.name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  const RandomKey key = random_key(hash, RandomStream::test, 0);
  std::vector<double> values(static_cast<std::size_t>(input.spec.shape.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox4 bits = philox(key, i);
    const double u = open_uniform(bits.x[0]);
    if (input.fill == CaseInput::Fill::normal) {
      const double z = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * open_uniform(bits.x[1]));
      values[i] = static_cast<float>(input.low + input.high * z);
    } else if (input.fill == CaseInput::Fill::uniform) {
      values[i] = static_cast<float>(input.low + (input.high - input.low) * u);
    } else {
      values[i] = input.low + bounded(bits.x[0], static_cast<std::uint32_t>(input.high - input.low) + 1);
    }
  }
  return values;
}

/// What the input holds; real values are rounded to the type they are stored in.
std::vector<double> fill(const CaseInput& input, const std::string& salt) {
  std::vector<double> values = draw_values(input, salt);
  if (input.spec.dtype == DType::bf16) {
    for (double& x : values) x = from_bf16(to_bf16(static_cast<float>(x)));
  }
  return values;
}

template <class T>
std::vector<T> convert(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

const std::vector<NamedOperatorTests>& all_operator_tests() {
  static const std::vector<NamedOperatorTests> all = collect_operator_tests();
  return all;
}

CaseRun::CaseRun(const OpCase& op_case, DeviceKind device, const Options& options)
    : case_(op_case), options_(options), store_(device), graph_(store_) {
  build(options.copies);
  store_.allocate();
  executor_ = std::make_unique<Executor>(graph_, PlanOptions{options.share_memory, options.guard_bytes});
}

void CaseRun::build(int copies) {
  for (const CaseInput& input : case_.inputs) {
    if (input.fill == CaseInput::Fill::absent) {
      inputs_.push_back({});
      input_ids_.emplace_back();
      continue;
    }
    inputs_.push_back({input.name, input.spec, fill(input, case_.name)});
    input_ids_.push_back(graph_.input(input.name, input.spec, is_real(input.spec.dtype) && input.differentiable));
  }
  std::vector<std::vector<TensorId>> outputs;
  for (int copy = 0; copy < copies; ++copy) {
    outputs.push_back(graph_.apply("op" + std::to_string(copy), case_.op, input_ids_));
    for (std::size_t k = 0; k < outputs.back().size(); ++k) {
      const auto& list = case_.compared_outputs;
      if (!list.empty() && std::find(list.begin(), list.end(), k) == list.end()) continue;
      compared_.push_back(graph_.keep(outputs.back()[k]));
    }
  }
  append_gradient(outputs);
}

void CaseRun::append_gradient(const std::vector<std::vector<TensorId>>& outputs) {
  std::vector<std::size_t> differentiable = case_.differentiable_outputs;
  if (differentiable.empty()) differentiable = {0};
  std::vector<std::pair<TensorId, TensorId>> seeds;
  const std::size_t case_inputs = inputs_.size();
  for (std::size_t copy = 0; copy < outputs.size(); ++copy) {
    for (const std::size_t k : differentiable) {
      const TensorId output = graph_.keep(outputs[copy][k]);
      if (!graph_.info(output).wants_gradient) continue;
      CaseInput gradient = CaseInput::normal("d" + graph_.info(output).name, graph_.shape(output));
      gradient.spec = graph_.spec(output);
      losses_.emplace_back(output, inputs_.size());
      inputs_.push_back({gradient.name, gradient.spec, fill(gradient, case_.name)});
      input_ids_.push_back(graph_.input(gradient.name, gradient.spec));
      seeds.emplace_back(output, input_ids_.back());
    }
  }
  std::map<int, TensorId> gradients;
  try {
    gradients = append_backward(graph_, seeds);
  } catch (const ShapeError&) {
    if (case_.check_gradient) throw;  // an operator without gradient says so with check_gradient = false
    return;
  }
  for (std::size_t i = 0; i < case_inputs; ++i) {
    if (const auto found = gradients.find(input_ids_[i].index); found != gradients.end()) {
      gradients_.emplace_back(i, graph_.keep(found->second));
    }
  }
}

void CaseRun::write(const Tensor& tensor, TensorId id) {
  switch (tensor.spec.dtype) {
    case DType::f32:
    case DType::bf16:
      return executor_->write_f64(id, tensor.values);
    case DType::i32:
      return executor_->write(id, std::span<const std::int32_t>(convert<std::int32_t>(tensor.values)));
    case DType::u32:
      return executor_->write(id, std::span<const std::uint32_t>(convert<std::uint32_t>(tensor.values)));
    case DType::u8:
      return executor_->write(id, std::span<const std::uint8_t>(convert<std::uint8_t>(tensor.values)));
    case DType::none:
      return;
  }
}

std::vector<double> CaseRun::read(TensorId id) const {
  switch (graph_.spec(id).dtype) {
    case DType::f32:
    case DType::bf16:
      return executor_->read_f64(id);
    case DType::u8: {
      const auto values = executor_->read_u8(id);
      return {values.begin(), values.end()};
    }
    default: {
      const auto values = executor_->read_i32(id);
      return {values.begin(), values.end()};
    }
  }
}

void CaseRun::run() {
  constexpr std::byte kPoison{0xff};  // NaN as float, bf16 and double
  executor_->fill_arena(kPoison);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (input_ids_[i].present()) write(inputs_[i], input_ids_[i]);
  }
  executor_->run();
}

std::vector<CaseRun::Tensor> CaseRun::results() const {
  std::vector<Tensor> results;
  for (const TensorId id : compared_) results.push_back({graph_.info(id).name, graph_.spec(id), read(id)});
  for (const auto& [input, id] : gradients_) results.push_back({graph_.info(id).name, graph_.spec(id), read(id)});
  return results;
}

std::vector<std::string> CaseRun::damaged_guards() const {
  std::vector<std::string> damaged;
  const std::vector<std::byte> arena = executor_->read_arena();
  for (const auto* list : {&executor_->plan().tensors, &executor_->plan().workspaces}) {
    for (const MemoryPlan::Block& block : *list) {
      if (block.bytes == 0) continue;
      const auto guard = std::span(arena).subspan(block.offset + block.bytes, options_.guard_bytes);
      if (std::any_of(guard.begin(), guard.end(), [](std::byte b) { return b != std::byte{0xff}; })) {
        damaged.push_back(block.name);
      }
    }
  }
  return damaged;
}

std::vector<double>& CaseRun::input_values(std::size_t i) { return inputs_[gradients_[i].first].values; }

std::vector<double> CaseRun::gradient(std::size_t i) const { return read(gradients_[i].second); }

double CaseRun::loss() const {
  double loss = 0;
  for (const auto& [output, gradient] : losses_) {
    const std::vector<double> values = read(output);
    loss = std::inner_product(values.begin(), values.end(), inputs_[gradient].values.begin(), loss);
  }
  return loss;
}

}  // namespace roap
