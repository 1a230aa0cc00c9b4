#include <cmath>
#include <limits>

#include "kernels/formula_posterior/formula_posterior_op.h"
#include "kernels/formula_posterior/formula_posterior_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const auto& params = static_cast<const FormulaPosteriorOp&>(op).params();
  reference::formula_posterior_forward(formula_posterior_dims(*params.formulas, c.in_shape(0), c.in_shape(1)),
                                       c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4),
                                       c.out<Real>(0), c.out<Real>(1), c.out<Real>(2),
                                       params.save_errors ? c.out<Real>(3) : nullptr);
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const auto& params = static_cast<const FormulaPosteriorBackwardOp&>(op).params();
  reference::formula_posterior_backward(formula_posterior_dims(*params.formulas, c.in_shape(1), c.in_shape(2)),
                                        c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4),
                                        c.in<Real>(5), c.in<Real>(6), c.out<Real>(0), c.accumulate(0));
}

/// `count` formulas that share arguments, each of a degree that keeps values near 1; every 7th is no candidate.
std::shared_ptr<const FormulaGraph> some_formulas(int symbols, std::int64_t count) {
  FormulaGraph graph;
  graph.symbols = symbols;
  std::uint32_t state = 12345;
  const auto below = [&](std::size_t bound) {
    state = state * 1664525 + 1013904223;
    return static_cast<std::int32_t>((std::uint64_t{state} * bound) >> 32);
  };
  constexpr FormulaOperator kOperators[] = {FormulaOperator::add, FormulaOperator::sub, FormulaOperator::mul};
  for (std::int64_t k = 0; k < count; ++k) {
    const bool symbol = k < symbols;
    const std::size_t earlier = static_cast<std::size_t>(k);
    graph.op.push_back(symbol ? FormulaOperator::symbol : kOperators[below(3)]);
    // Recent formulas as left arguments would grow without bound.
    graph.left.push_back(symbol ? 0 : below(std::min<std::size_t>(earlier, 4 * static_cast<std::size_t>(symbols))));
    graph.right.push_back(symbol ? 0 : below(std::min<std::size_t>(earlier, static_cast<std::size_t>(symbols))));
    const float size = 0.05f * static_cast<float>(k % 4);
    graph.penalty.push_back(k % 7 == 6 ? std::numeric_limits<float>::infinity() : size);
  }
  return std::make_shared<const FormulaGraph>(std::move(graph));
}

struct Sizes {
  std::int64_t tasks, formulas, pairs;
  int symbols;
};

OpCase posterior_case(Sizes s, double temperature, bool save_errors, bool performance = false) {
  OpCase c;
  c.name = fmt::format("t{}_k{}_b{}_v{}_tau{}{}", s.tasks, s.formulas, s.pairs, s.symbols, temperature,
                       save_errors ? "_saved" : "");
  c.op =
      std::make_shared<FormulaPosteriorOp>(FormulaPosteriorParams{some_formulas(s.symbols, s.formulas), save_errors});
  c.inputs = {CaseInput::uniform("symbols", {s.pairs, s.symbols}, -1, 1.2),
              CaseInput::normal("y", {s.tasks, s.pairs}).constant(),
              CaseInput::uniform("sigma", {s.tasks}, 0.2, 2).constant(),
              CaseInput::list("temperature", f32({1}), {temperature}).constant(),
              CaseInput::list("floor", f32({1}), {0.01}).constant()};
  c.performance = performance;
  return c;
}

/// One task that a symbol explains exactly, beside one that nothing does: errors from 0 to far above the floor.
OpCase solved_case() {
  OpCase c = posterior_case({2, 70, 5, 2}, 0.05, false);
  c.name = "solved";
  c.inputs[0] = CaseInput::list("symbols", f32({5, 2}), {0.1, 0.9, 0.3, 0.2, 0.5, 0.5, 0.7, 0.1, 1.0, 0.4});
  c.inputs[1] = CaseInput::list("y", f32({2, 5}), {0.1, 0.3, 0.5, 0.7, 1.0, 5, -3, 4, 1, -2}).constant();
  return c;
}

}  // namespace

OperatorTests formula_posterior_tests() {
  OperatorTests tests;
  tests.references = {{"formula_posterior", ROAP_REFERENCE(run_forward)},
                      {"formula_posterior_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {posterior_case({1, 1, 1, 1}, 0.5, false),
                 posterior_case({1, 63, 15, 1}, 0.5, true),
                 posterior_case({5, 64, 16, 2}, 0.3, false),
                 posterior_case({7, 65, 17, 3}, 0.5, true),
                 posterior_case({25, 129, 33, 3}, 0.5, false),
                 posterior_case({24, 131, 65, 3}, 0.05, true),
                 posterior_case({3, 200, 97, 5}, 0.02, false),
                 posterior_case({3, 7001, 2, 3}, 0.3, true),      // GPUs keep so many in shared memory
                 posterior_case({130, 25000, 3, 3}, 0.3, false),  // more than they do, and errors in two runs
                 solved_case(),
                 posterior_case({500, 1101, 64, 3}, 0.3, true, true),
                 posterior_case({500, 8603, 64, 3}, 0.3, true, true)};
  return tests;
}

}  // namespace roap
