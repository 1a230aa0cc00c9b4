#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/op.h"

namespace roap {

/// One input of a case: its spec and how it is filled (deterministically, from the case's name).
struct CaseInput {
  enum class Fill { absent, normal, uniform, integers, values };
  std::string name;
  TensorSpec spec;
  Fill fill = Fill::absent;
  double low = 0, high = 1;    ///< uniform: [low, high); integers: low..high inclusive; normal: mean, deviation
  std::vector<double> values;  ///< Fill::values, one per element
  bool differentiable = true;  ///< real inputs only: check its gradient

  static CaseInput absent() { return {}; }
  static CaseInput normal(std::string name, Shape shape, double mean = 0, double deviation = 1) {
    return {std::move(name), f32(shape), Fill::normal, mean, deviation, {}, true};
  }
  static CaseInput uniform(std::string name, Shape shape, double low, double high) {
    return {std::move(name), f32(shape), Fill::uniform, low, high, {}, true};
  }
  /// Integers as f32 (ties and repeated values) or as an integer type.
  static CaseInput integers(std::string name, TensorSpec spec, double low, double high) {
    return {std::move(name), spec, Fill::integers, low, high, {}, spec.dtype == DType::f32};
  }
  static CaseInput list(std::string name, TensorSpec spec, std::vector<double> values) {
    return {std::move(name), spec, Fill::values, 0, 0, std::move(values), spec.dtype == DType::f32};
  }
  /// The same values rounded to bf16 and stored as such.
  CaseInput in_bf16() && {
    if (spec.dtype == DType::f32) spec.dtype = DType::bf16;
    return std::move(*this);
  }
  CaseInput constant() && {
    differentiable = false;
    return std::move(*this);
  }
};

/// One shape of one operator: parity of every device with the reference, gradient check and benchmark all come from it.
struct OpCase {
  std::string name;
  std::shared_ptr<const Op> op;
  std::vector<CaseInput> inputs;
  /// Outputs whose gradient is checked; the others (saved values) are only compared. Empty: output 0.
  std::vector<std::size_t> differentiable_outputs;
  /// Outputs compared between devices; empty: all.
  std::vector<std::size_t> compared_outputs;
  bool check_gradient = true;
  double difference_step = 1e-4;  ///< of the central difference, relative to max(1, |x|)
  double tolerance_factor =
      16;  ///< allowed error in units of the f32 reference's own error against f64 (see parity test)
  /// Where CUDA multiplies in bf16 what other devices multiply in f32: allowed error on top, in bf16 roundings of the
  /// tensor's largest value.
  double cuda_bf16_roundings = 0;
  bool performance = false;  ///< a realistic size: checked and timed by roap-bench, no finite differences
  /// Share of winners of a maximum that may be another one, nearer to the reference's than f32 resolves. Gradients then
  /// flow another way here and there, and are compared by their norm.
  double near_ties = 0;

  OpCase without_gradient_of(std::size_t input) && {
    name += fmt::format("_constant_{}", inputs[input].name);
    inputs[input].differentiable = false;
    return std::move(*this);
  }
};

struct OperatorTests {
  std::vector<std::pair<std::string, Reference>> references;  ///< one per Op::type() of the folder
  std::vector<OpCase> cases;
  std::string no_gradient_reason;  ///< why no case checks a gradient, where none does
};

}  // namespace roap

/// Reference from a function template over the storage type: ROAP_REFERENCE(run_forward).
#define ROAP_REFERENCE(FUNCTION) (::roap::Reference{&FUNCTION<float>, &FUNCTION<double>})
