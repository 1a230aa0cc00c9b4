#include "kernels/repeat_rows/repeat_rows_op.h"
#include "kernels/repeat_rows/repeat_rows_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const RepeatRowsDims dims = repeat_rows_dims(c.in_shape(0), static_cast<const RepeatRowsOp&>(op).copies());
  reference::repeat_rows_forward(dims, c.in<Real>(0), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const RepeatRowsDims dims = repeat_rows_dims(c.out_shape(0), static_cast<const RepeatRowsBackwardOp&>(op).copies());
  reference::repeat_rows_backward(dims, c.in<Real>(0), c.out<Real>(0));
}

OpCase repeat_case(std::int64_t rows, std::int64_t columns, std::int64_t copies, bool performance = false) {
  OpCase c;
  c.name = fmt::format("rows{}_columns{}_copies{}", rows, columns, copies);
  c.op = std::make_shared<RepeatRowsOp>(copies);
  c.inputs = {CaseInput::normal("x", {rows, columns})};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests repeat_rows_tests() {
  OperatorTests tests;
  tests.references = {{"repeat_rows", ROAP_REFERENCE(run_forward)},
                      {"repeat_rows_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {repeat_case(1, 1, 1), repeat_case(3, 7, 5), repeat_case(17, 33, 2), repeat_case(500, 1170, 8, true)};
  return tests;
}

}  // namespace roap
