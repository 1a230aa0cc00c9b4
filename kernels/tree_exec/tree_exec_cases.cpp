#include "kernels/tree_exec/tree_exec_op.h"
#include "kernels/tree_exec/tree_exec_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const TreeExecDims dims = tree_exec_dims(static_cast<const TreeExecOp&>(op).params(), c.in_shape(0), c.in_shape(1));
  reference::tree_exec_forward(dims, c.in<Real>(0), c.in<Real>(1), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const TreeExecDims dims =
      tree_exec_dims(static_cast<const TreeExecBackwardOp&>(op).params(), c.in_shape(1), c.in_shape(2));
  reference::tree_exec_backward(dims, c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.out<Real>(0), c.accumulate(0),
                                c.out<Real>(1), c.accumulate(1));
}

// Weights of both signs that sum to nothing particular.
OpCase exec_case(int symbols, int depth, std::int64_t tasks, std::int64_t pairs, bool performance = false) {
  OpCase c;
  c.name = fmt::format("v{}_d{}_t{}_b{}", symbols, depth, tasks, pairs);
  const TreeLayout layout{symbols, depth};
  c.op = std::make_shared<TreeExecOp>(layout);
  c.inputs = {CaseInput::uniform("z", {tasks, layout.count()}, -1, 1),
              CaseInput::uniform("symbols", {pairs, symbols}, -1, 1.5)};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests tree_exec_tests() {
  OperatorTests tests;
  tests.references = {{"tree_exec", ROAP_REFERENCE(run_forward)}, {"tree_exec_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {exec_case(1, 1, 1, 1),
                 exec_case(3, 1, 3, 7),
                 exec_case(3, 2, 5, 17),
                 exec_case(4, 3, 3, 16),
                 exec_case(3, 3, 1, 64),
                 exec_case(3, 5, 3, 33),
                 exec_case(1, 5, 9, 7),
                 exec_case(3, 2, 3, 131),
                 exec_case(3, 2, 9, 17).without_gradient_of(0),
                 exec_case(3, 2, 9, 17).without_gradient_of(1),
                 exec_case(3, 5, 500, 64, true)};
  return tests;
}

}  // namespace roap
