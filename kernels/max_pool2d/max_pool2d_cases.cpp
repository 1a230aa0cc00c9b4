#include "kernels/max_pool2d/max_pool2d_op.h"
#include "kernels/max_pool2d/max_pool2d_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::max_pool2d_forward(static_cast<const MaxPool2dOp&>(op).dims(c.input_specs()), c.in<Real>(0),
                                c.out<Real>(0), c.out<std::uint8_t>(1));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  reference::max_pool2d_backward(static_cast<const MaxPool2dBackwardOp&>(op).dims(), c.in<Real>(0),
                                 c.in<std::uint8_t>(1), c.out<Real>(0), c.accumulate(0));
}

OpCase pool_case(const Shape& x, MaxPool2dParams params, bool performance = false) {
  OpCase c;
  c.name = fmt::format("{}x{}x{}x{}_k{}_s{}_p{}", x[0], x[1], x[2], x[3], params.kernel, params.stride, params.padding);
  c.op = std::make_shared<MaxPool2dOp>(params);
  c.inputs = {CaseInput::normal("x", x)};
  c.performance = performance;
  return c;
}

/// Few different values: ties go to the lowest tap (their gradient has no finite difference).
OpCase tie_case(const Shape& x) {
  OpCase c = pool_case(x, {});
  c.name = "ties_" + c.name;
  c.inputs = {CaseInput::integers("x", f32(x), -1, 1)};
  c.check_gradient = false;
  return c;
}

/// NaN beats every number, wherever it stands in the window.
OpCase nan_case() {
  OpCase c = pool_case({1, 5, 5, 1}, {});
  c.name = "nan_" + c.name;
  std::vector<double> values(25, 1.0);
  values[6] = values[12] = std::nan("");
  c.inputs = {CaseInput::list("x", f32({1, 5, 5, 1}), values)};
  c.check_gradient = false;
  return c;
}

OpCase in_bf16(OpCase c) {
  c.name += "_bf16";
  c.inputs[0] = std::move(c.inputs[0]).in_bf16();
  c.check_gradient = false;  // rounded values tie, and a tie's gradient has no finite difference
  return c;
}

}  // namespace

OperatorTests max_pool2d_tests() {
  OperatorTests tests;
  tests.references = {{"max_pool2d", ROAP_REFERENCE(run_forward)},
                      {"max_pool2d_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {pool_case({1, 1, 1, 1}, {}),
                 pool_case({2, 2, 2, 17}, {}),
                 pool_case({3, 9, 7, 3}, {}),
                 pool_case({2, 8, 8, 16}, {}),
                 pool_case({2, 5, 5, 64}, {3, 1, 1}),
                 pool_case({2, 8, 9, 5}, {2, 2, 0}),
                 pool_case({1, 11, 7, 19}, {5, 3, 2}),
                 pool_case({130, 8, 8, 33}, {}),
                 tie_case({3, 8, 8, 17}),
                 nan_case(),
                 in_bf16(pool_case({3, 9, 7, 3}, {})),
                 in_bf16(pool_case({2, 8, 8, 16}, {})),
                 in_bf16(pool_case({2, 5, 5, 24}, {3, 1, 1})),
                 in_bf16(pool_case({2, 8, 9, 8}, {2, 2, 0})),
                 in_bf16(nan_case()),
                 pool_case({192, 16, 16, 64}, {}, true)};
  return tests;
}

}  // namespace roap
