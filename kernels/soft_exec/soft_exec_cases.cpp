#include "kernels/soft_exec/soft_exec_op.h"
#include "kernels/soft_exec/soft_exec_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const SoftExecDims dims = soft_exec_dims(static_cast<const SoftExecOp&>(op).params(), c.in_shape(0), c.in_shape(1));
  reference::soft_exec_forward(dims, c.in<Real>(0), c.in<Real>(1), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const SoftExecDims dims =
      soft_exec_dims(static_cast<const SoftExecBackwardOp&>(op).params(), c.in_shape(1), c.in_shape(2));
  reference::soft_exec_backward(dims, c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.out<Real>(0), c.accumulate(0),
                                c.out<Real>(1), c.accumulate(1));
}

// Weights of both signs that sum to nothing particular; within +-1/2 the values of 30 lines neither explode nor vanish.
OpCase exec_case(int symbols, int lines, std::int64_t tasks, std::int64_t pairs, bool performance = false) {
  OpCase c;
  c.name = fmt::format("v{}_l{}_t{}_b{}", symbols, lines, tasks, pairs);
  const StraightLineLayout layout{symbols, lines};
  c.op = std::make_shared<SoftExecOp>(layout);
  c.inputs = {CaseInput::uniform("z", {tasks, layout.count()}, -0.5, 0.5),
              CaseInput::uniform("symbols", {pairs, symbols}, -1, 1.5)};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests soft_exec_tests() {
  OperatorTests tests;
  tests.references = {{"soft_exec", ROAP_REFERENCE(run_forward)}, {"soft_exec_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {exec_case(1, 1, 1, 1),
                 exec_case(3, 1, 3, 7),
                 exec_case(3, 3, 5, 17),
                 exec_case(4, 5, 3, 16),
                 exec_case(1, 5, 5, 33),
                 exec_case(3, 5, 1, 64),
                 exec_case(3, 30, 3, 33),
                 exec_case(4, 30, 1, 7),
                 exec_case(3, 5, 19, 67),
                 exec_case(2, 3, 3, 131),
                 exec_case(3, 3, 2, 523),
                 exec_case(3, 8, 3, 65),
                 exec_case(3, 10, 2, 31),
                 exec_case(3, 20, 2, 33),
                 exec_case(3, 5, 9, 17).without_gradient_of(0),
                 exec_case(3, 5, 9, 17).without_gradient_of(1),
                 exec_case(3, 30, 500, 64, true)};
  return tests;
}

}  // namespace roap
