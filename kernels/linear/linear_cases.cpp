#include "kernels/linear/linear_op.h"
#include "kernels/linear/linear_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& /*op*/, const RunContext& c) {
  reference::linear_forward(linear_dims(c.in_shape(0), c.in_shape(1)), c.in<Real>(0), c.in<Real>(1), c.in<Real>(2),
                            c.out<Real>(0));
}

template <class Real>
void run_backward_data(const Op& /*op*/, const RunContext& c) {
  reference::linear_backward_data(linear_dims(c.out_shape(0), c.in_shape(1)), c.in<Real>(0), c.in<Real>(1),
                                  c.out<Real>(0), c.accumulate(0));
}

template <class Real>
void run_backward_weight(const Op& /*op*/, const RunContext& c) {
  const LinearDims dims{c.in_shape(1)[0], c.in_shape(1)[1], c.in_shape(0)[1]};
  reference::linear_backward_weight(dims, c.in<Real>(0), c.in<Real>(1), c.out<Real>(0), c.out<Real>(1));
}

OpCase linear_case(std::int64_t rows, std::int64_t in, std::int64_t out, bool bias, bool performance = false) {
  OpCase c;
  c.name = fmt::format("rows{}_in{}_out{}{}", rows, in, out, bias ? "" : "_nobias");
  c.op = std::make_shared<LinearOp>();
  c.inputs = {CaseInput::normal("x", {rows, in}), CaseInput::normal("w", {out, in}),
              bias ? CaseInput::normal("b", {out}) : CaseInput::absent()};
  c.performance = performance;
  return c;
}

/// On tensor cores. The operands are rounded to bf16, with a relative error of up to 1/512 each; of a sum, which is as
/// large as the root of the number of terms, this is a fraction of 1/256.
OpCase bf16_case(OpCase c) {
  c.name += "_bf16";
  c.op = std::make_shared<LinearOp>(ProductMath::bf16);
  c.check_gradient = false;
  c.cuda_bf16_roundings = 2;
  return c;
}

}  // namespace

OperatorTests linear_tests() {
  OperatorTests tests;
  tests.references = {{"linear", ROAP_REFERENCE(run_forward)},
                      {"linear_backward_data", ROAP_REFERENCE(run_backward_data)},
                      {"linear_backward_weight", ROAP_REFERENCE(run_backward_weight)}};
  tests.cases = {linear_case(1, 1, 1, true),      linear_case(7, 5, 3, true),
                 linear_case(33, 17, 31, false),  linear_case(65, 64, 63, true),
                 linear_case(130, 67, 129, true), linear_case(500, 1280, 256, true, true)};
  for (const OpCase& c : std::vector<OpCase>(tests.cases)) tests.cases.push_back(bf16_case(c));
  return tests;
}

}  // namespace roap
