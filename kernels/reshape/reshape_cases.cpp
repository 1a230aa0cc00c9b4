#include "kernels/reshape/reshape_op.h"
#include "kernels/reshape/reshape_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_reshape(const Op& /*op*/, const RunContext& c) {
  reference::reshape_copy(c.out_shape(0).count(), c.in<Real>(0), c.out<Real>(0), c.accumulate(0));
}

OpCase reshape_case(Shape from, Shape to, bool performance = false) {
  OpCase c;
  c.name = from.text() + "_to_" + to.text();
  c.op = std::make_shared<ReshapeOp>(to);
  c.inputs = {CaseInput::normal("x", from)};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests reshape_tests() {
  OperatorTests tests;
  tests.references = {{"reshape", ROAP_REFERENCE(run_reshape)}};
  tests.cases = {reshape_case({1}, {1, 1}), reshape_case({3, 5, 7}, {15, 7}),
                 reshape_case({66, 1024}, {2, 3, 11, 1024}), reshape_case({192, 3}, {64, 9}),
                 reshape_case({500, 64, 256}, {32000, 256}, true)};
  return tests;
}

}  // namespace roap
