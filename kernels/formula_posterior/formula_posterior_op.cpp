#include "kernels/formula_posterior/formula_posterior_op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/autodiff.h"

namespace roap {

namespace {

constexpr std::int64_t kSavedErrors = std::int64_t{1} << 24;  // elements

void check_formulas(const FormulaGraph& formulas) {
  const std::size_t count = formulas.op.size();
  bool valid = formulas.symbols >= 1 && static_cast<std::size_t>(formulas.symbols) <= count &&
               formulas.left.size() == count && formulas.right.size() == count && formulas.penalty.size() == count;
  for (std::size_t k = 0; valid && k < count; ++k) {
    const bool symbol = k < static_cast<std::size_t>(formulas.symbols);
    const auto earlier = [&](std::int32_t i) { return i >= 0 && static_cast<std::size_t>(i) < k; };
    valid = symbol == (formulas.op[k] == FormulaOperator::symbol) &&
            (symbol || (earlier(formulas.left[k]) && earlier(formulas.right[k])));
  }
  if (!valid)
    throw ShapeError("[formula_posterior] formulas: expected symbols first, then operators over earlier ones");
  if (std::none_of(formulas.penalty.begin(), formulas.penalty.end(), [](float p) { return std::isfinite(p); }))
    throw ShapeError("[formula_posterior] formulas: expected at least one candidate, got none");
}

void expect_common(std::string_view op, const FormulaGraph& formulas, const TensorSpec& symbols, const TensorSpec& y,
                   const TensorSpec& sigma, const TensorSpec& temperature, const TensorSpec& floor) {
  expect_rank(op, "symbols", symbols, DType::f32, 2);
  expect_rank(op, "y", y, DType::f32, 2);
  expect_extent(op, "symbols per pair", symbols.shape[1], formulas.symbols);
  expect_extent(op, "y pairs", y.shape[1], symbols.shape[0]);
  expect_spec(op, "sigma", sigma, f32({y.shape[0]}));
  expect_spec(op, "temperature", temperature, f32({1}));
  expect_spec(op, "floor", floor, f32({1}));
}

/// Squared differences (3 operations each) and, per task and formula, about 60 for logarithm and exponential.
double forward_flop(const FormulaPosteriorDims& d) {
  const double formulas = static_cast<double>(d.formulas->count());
  const double pairs = static_cast<double>(d.pairs);
  return formulas * pairs + static_cast<double>(d.tasks) * formulas * (3 * pairs + 60);
}

}  // namespace

FormulaPosteriorDims formula_posterior_dims(const FormulaGraph& formulas, const Shape& symbols, const Shape& y) {
  return {y[0], symbols[0], &formulas};
}

FormulaPosteriorOp::FormulaPosteriorOp(FormulaPosteriorParams params) : OpWith(std::move(params)) {
  check_formulas(*this->params().formulas);
}

Specs FormulaPosteriorOp::infer(const Specs& inputs) const {
  expect_common(type(), *params().formulas, inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]);
  const std::int64_t tasks = inputs[1].shape[0];
  Specs outputs{f32({1}), f32({tasks}), f32({tasks})};
  if (params().save_errors) outputs.push_back(f32({tasks, params().formulas->count()}));
  return outputs;
}

void FormulaPosteriorOp::gradient(GradientContext& g) const {
  if (!g.grad(0).present()) return;
  g.emit("backward", std::make_shared<FormulaPosteriorBackwardOp>(params()),
         {g.grad(0), g.input(0), g.input(1), g.input(2), g.input(3), g.input(4), g.output(1),
          params().save_errors ? g.output(3) : TensorId{}},
         {0});
}

std::unique_ptr<OpState> FormulaPosteriorOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::formula_posterior_forward_workspace(formula_posterior_dims(*params().formulas, in[0].shape, in[1].shape)));
}

void FormulaPosteriorOp::run_cpu(const RunContext& c) const {
  cpu::formula_posterior_forward(formula_posterior_dims(*params().formulas, c.in_shape(0), c.in_shape(1)),
                                 c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4),
                                 c.out<float>(0), c.out<float>(1), c.out<float>(2),
                                 params().save_errors ? c.out<float>(3) : nullptr, c.workspace<float>());
}

Work FormulaPosteriorOp::work(const Specs& in, const Specs& out) const {
  double elements = static_cast<double>(in[0].shape.count() + in[1].shape.count());
  if (params().save_errors) elements += static_cast<double>(out[3].shape.count());
  return {forward_flop(formula_posterior_dims(*params().formulas, in[0].shape, in[1].shape)), 4 * elements};
}

Specs FormulaPosteriorBackwardOp::infer(const Specs& inputs) const {
  expect_spec(type(), "dloss", inputs[0], f32({1}));
  expect_common(type(), *params().formulas, inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]);
  const std::int64_t tasks = inputs[2].shape[0];
  expect_spec(type(), "evidence", inputs[6], f32({tasks}));
  if (inputs[7].present()) expect_spec(type(), "errors", inputs[7], f32({tasks, params().formulas->count()}));
  return {inputs[1]};
}

std::unique_ptr<OpState> FormulaPosteriorBackwardOp::prepare(const Specs& in, const Specs& /*out*/) const {
  return std::make_unique<WorkspaceState>(
      cpu::formula_posterior_backward_workspace(formula_posterior_dims(*params().formulas, in[1].shape, in[2].shape)));
}

void FormulaPosteriorBackwardOp::run_cpu(const RunContext& c) const {
  cpu::formula_posterior_backward(formula_posterior_dims(*params().formulas, c.in_shape(1), c.in_shape(2)),
                                  c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4),
                                  c.in<float>(5), c.in<float>(6), c.in<float>(7), c.out<float>(0), c.accumulate(0),
                                  c.workspace<float>());
}

Work FormulaPosteriorBackwardOp::work(const Specs& in, const Specs& out) const {
  const FormulaPosteriorDims d = formula_posterior_dims(*params().formulas, in[1].shape, in[2].shape);
  double elements = static_cast<double>(2 * in[1].shape.count() + in[2].shape.count());
  if (in[7].present()) elements += static_cast<double>(in[7].shape.count());
  return {(in[7].present() ? 1 : 2) * forward_flop(d), 4 * elements};
}

FormulaPosterior formula_posterior(Graph& graph, const std::string& name, TensorId symbols, TensorId y, TensorId sigma,
                                   TensorId temperature, TensorId floor, std::shared_ptr<const FormulaGraph> formulas) {
  const bool save = graph.shape(y)[0] * formulas->count() <= kSavedErrors;
  const std::vector<TensorId> outputs =
      graph.apply(name, std::make_shared<FormulaPosteriorOp>(FormulaPosteriorParams{std::move(formulas), save}),
                  {symbols, y, sigma, temperature, floor});
  return {outputs[0], outputs[1], outputs[2], save ? outputs[3] : TensorId{}};
}

}  // namespace roap
