#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/autodiff.h"
#include "engine/executor.h"
#include "engine/graph.h"
#include "io/safetensors.h"
#include "tests/ops/run_case.h"

// Comparison with the golden files of tests/golden, which PyTorch computed in double precision (make_golden.py says
// what they hold and how weights that are not in a file follow a formula).

namespace roap::golden {

/// A number in (-1, 1): 24 bits of splitmix64(FNV-1a(name) + index * golden ratio), as formula_uniform of
/// make_golden.py.
inline double formula_uniform(std::string_view name, std::uint64_t index) {
  std::uint64_t x = 0xCBF29CE484222325u;
  for (const char c : name) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  x += index * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return (static_cast<double>(x >> 40) + 0.5) / 8388608.0 - 1.0;
}

/// He-uniform matrices and filters; scales and variances in 1 +- 0.2; biases and means in +- 0.1.
inline std::vector<float> formula_weight(const std::string& name, const Shape& shape) {
  double center = 0, deviation = 0.1;
  if (shape.rank() > 1) {
    deviation = std::sqrt(6.0 / static_cast<double>(shape.count() / shape[0]));
  } else if (!name.ends_with("bias") && !name.ends_with("running_mean")) {
    center = 1;
    deviation = 0.2;
  }
  std::vector<float> values(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(center + deviation * formula_uniform(name, i));
  }
  return values;
}

/// One golden file. A name is looked up with the prefix first and then without, so that variants share their inputs.
class File {
 public:
  explicit File(const std::string& name, std::string prefix = "")
      : file_(io::SafetensorsFile::read(fmt::format("{}/tests/golden/{}.safetensors", ROAP_SOURCE_DIR, name))),
        prefix_(std::move(prefix)) {}

  [[nodiscard]] bool contains(const std::string& name) const { return file_.contains(full_name(name)); }
  [[nodiscard]] std::vector<float> values(const std::string& name) const {
    return file_.values<float>(full_name(name));
  }
  template <class T>
  [[nodiscard]] std::vector<T> values_of(const std::string& name) const {
    return file_.values<T>(full_name(name));
  }
  [[nodiscard]] std::vector<double> doubles(const std::string& name) const {
    const std::vector<float> read = values(name);
    return {read.begin(), read.end()};
  }
  [[nodiscard]] Shape shape(const std::string& name) const {
    const std::vector<std::int64_t> e = file_.tensor(full_name(name)).shape;
    switch (e.size()) {
      case 1:
        return {e[0]};
      case 2:
        return {e[0], e[1]};
      case 3:
        return {e[0], e[1], e[2]};
      default:
        return {e.at(0), e.at(1), e.at(2), e.at(3)};
    }
  }
  /// Is this a value with an error of PyTorch's float32 beside it?
  [[nodiscard]] bool is_checked(const std::string& name) const { return contains(name + ".f32_error"); }

 private:
  [[nodiscard]] std::string full_name(const std::string& name) const {
    return file_.contains(prefix_ + name) ? prefix_ + name : name;
  }
  io::SafetensorsFile file_;
  std::string prefix_;
};

/// The error that a device may make where PyTorch's float32 makes `f32_error` on values up to `largest`: a few times
/// that and a few roundings; the references in double only round the stored value.
inline double allowed_error(DeviceKind device, double f32_error, double largest) {
  constexpr double kFactor = 4;
  constexpr double kRoundings = 8;
  constexpr double kF32Epsilon = 1.0 / (1 << 23);
  return device == DeviceKind::reference_f64 ? 2 * kF32Epsilon * largest
                                             : kFactor * f32_error + kRoundings * kF32Epsilon * largest;
}

inline double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

/// A failure names the worst element.
inline void expect_close(const std::vector<double>& got, const std::vector<double>& expected, double allowed,
                         const std::string& name) {
  ASSERT_EQ(got.size(), expected.size()) << name;
  std::size_t worst = 0;
  double error = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double e = std::abs(got[i] - expected[i]);
    if (!(e <= error)) {  // also true for NaN
      error = e;
      worst = i;
    }
    if (std::isnan(e)) break;
  }
  EXPECT_LE(error, allowed) << name << "[" << worst << "]: got " << got[worst] << ", PyTorch has " << expected[worst];
}

/// A model built from the tensors of a golden file, run forward and backward on one device and compared with it.
class Run {
 public:
  Run(const File& file, DeviceKind device) : file_(file), store_(device), graph_(store_) { all_operator_tests(); }
  Run(const Run&) = delete;

  [[nodiscard]] Graph& graph() { return graph_; }
  [[nodiscard]] ParameterStore& store() { return store_; }

  /// A graph input with the file's shape and values; its gradient is compared if the file has it.
  TensorId input(const std::string& name) {
    const TensorId tensor = graph_.input(name, f32(file_.shape(name)), file_.is_checked("grad." + name));
    inputs_.push_back({name, tensor});
    return tensor;
  }
  TensorId key_input(const std::string& name) {
    const TensorId tensor = graph_.input(name, u32({4}));
    keys_.push_back({name, tensor});
    return tensor;
  }
  /// A tensor to compare with NAME (with eval.NAME: give that name). `with_gradient`: the file holds the loss's
  /// gradient with respect to it as grad.NAME, where the backward pass starts.
  void output(TensorId tensor, const std::string& name, bool with_gradient = true) {
    outputs_.push_back({name, graph_.keep(tensor)});
    if (with_gradient) seeds_.emplace_back(tensor, input("grad." + name));
  }

  /// Call after all outputs: appends the backward pass.
  void append_gradients() {
    const std::map<int, TensorId> gradients = append_backward(graph_, seeds_);
    for (const auto& [name, tensor] : inputs_) {
      if (!graph_.info(tensor).wants_gradient) continue;
      outputs_.push_back({"grad." + name, graph_.keep(gradients.at(tensor.index))});
    }
  }

  /// Weights of the file or of the formula, one run, comparison of outputs and gradients of inputs.
  void run_and_compare() {
    store_.initialize(0);
    for (const auto* list : {&store_.weights(), &store_.buffers()}) {
      for (const ParameterInfo& info : *list) {
        store_.write(info.slot,
                     file_.contains(info.name) ? file_.values(info.name) : formula_weight(info.name, info.slot.shape));
      }
    }
    Executor executor(graph_);
    for (const auto& [name, tensor] : inputs_) executor.write(tensor, std::span<const float>(file_.values(name)));
    for (const auto& [name, tensor] : keys_) {
      executor.write(tensor, std::span<const std::uint32_t>(file_.values_of<std::uint32_t>(name)));
    }
    executor.run();
    for (const auto& [name, tensor] : outputs_) compare(executor.read_f64(tensor), name);
  }

  void compare(const std::vector<double>& got, const std::string& name) const {
    const std::vector<double> expected = file_.doubles(name);
    expect_close(got, expected,
                 allowed_error(store_.device(), file_.values(name + ".f32_error")[0], largest_of(expected)), name);
  }

  /// Gradients of all weights, whole or in summary: every one must be in the file.
  void compare_weight_gradients() const {
    for (const ParameterInfo& info : store_.weights()) {
      const std::string name = "grad." + info.name;
      const std::vector<double> got = store_.read_f64(store_.slot(info.name, Arena::gradients));
      if (file_.contains(name)) {
        compare(got, name);
      } else {
        compare_summary(got, name);
      }
    }
  }

 private:
  struct Named {
    std::string name;
    TensorId tensor;
  };

  /// Sum, L2 norm and some elements of a large gradient.
  void compare_summary(const std::vector<double>& got, const std::string& name) const {
    const std::vector<double> summary = file_.doubles(name + ".summary");
    const std::vector<double> errors = file_.doubles(name + ".f32_error");  // of sum, norm, elements
    double sum = 0, squares = 0;
    for (const double g : got) {
      sum += g;
      squares += g * g;
    }
    const double norm = summary[1];
    const double sum_scale = norm * std::sqrt(static_cast<double>(got.size()));
    expect_close({sum}, {summary[0]}, allowed_error(store_.device(), errors[0], sum_scale), name + " sum");
    expect_close({std::sqrt(squares)}, {norm}, allowed_error(store_.device(), errors[1], norm), name + " norm");
    std::vector<double> samples;
    for (const std::int32_t i : file_.values_of<std::int32_t>(name + ".index")) {
      samples.push_back(got.at(static_cast<std::size_t>(i)));
    }
    const std::vector<double> expected = file_.doubles(name + ".samples");
    expect_close(samples, expected, allowed_error(store_.device(), errors[2], largest_of(expected)), name + " samples");
  }

  const File& file_;
  ParameterStore store_;
  Graph graph_;
  std::vector<Named> inputs_, keys_, outputs_;
  std::vector<std::pair<TensorId, TensorId>> seeds_;  ///< output, its gradient
};

/// Tests that compare both the CPU and the operators' definitions.
class DeviceTest : public testing::TestWithParam<DeviceKind> {};

inline std::string device_test_name(const testing::TestParamInfo<DeviceKind>& info) {
  std::string name(to_string(info.param));
  std::ranges::replace(name, '-', '_');  // GoogleTest takes identifiers only
  return name;
}

}  // namespace roap::golden

#define ROAP_GOLDEN_DEVICES(Suite)                                                                     \
  INSTANTIATE_TEST_SUITE_P(Device, Suite, testing::Values(DeviceKind::cpu, DeviceKind::reference_f64), \
                           golden::device_test_name)
