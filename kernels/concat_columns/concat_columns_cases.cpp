#include "kernels/concat_columns/concat_columns_op.h"
#include "kernels/concat_columns/concat_columns_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& /*op*/, const RunContext& c) {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < c.input_specs().size(); ++i) {
    const Shape& x = c.in_shape(i);
    reference::concat_columns_forward(x[0], c.out_shape(0)[1], first, c.in<Real>(i), x[1], c.out<Real>(0));
    first += x[1];
  }
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const auto& columns = static_cast<const ConcatColumnsBackwardOp&>(op).columns();
  const Shape& dy = c.in_shape(0);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (c.out<Real>(i) != nullptr) {
      reference::concat_columns_backward(dy[0], dy[1], first, c.in<Real>(0), columns[i], c.out<Real>(i),
                                         c.accumulate(i));
    }
    first += columns[i];
  }
}

OpCase concat_case(std::int64_t rows, const std::vector<std::int64_t>& columns, bool performance = false) {
  OpCase c;
  c.name = fmt::format("rows{}_columns{}", rows, fmt::join(columns, "_"));
  c.op = std::make_shared<ConcatColumnsOp>();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    c.inputs.push_back(CaseInput::normal(fmt::format("x{}", i), {rows, columns[i]}));
  }
  c.performance = performance;
  return c;
}

OpCase constant_input_case() {
  OpCase c = concat_case(5, {3, 4, 2});
  c.name += "_constant";
  c.inputs[1].differentiable = false;
  return c;
}

}  // namespace

OperatorTests concat_columns_tests() {
  OperatorTests tests;
  tests.references = {{"concat_columns", ROAP_REFERENCE(run_forward)},
                      {"concat_columns_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {concat_case(1, {1}),
                 concat_case(7, {5, 1, 17}),
                 concat_case(67, {16, 33}),
                 concat_case(5, {4, 16, 12}),
                 concat_case(3, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}),
                 constant_input_case(),
                 concat_case(500, {256, 768, 256}, true)};
  return tests;
}

}  // namespace roap
