#include "kernels/grouped_linear/grouped_linear_op.h"
#include "kernels/grouped_linear/grouped_linear_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::grouped_linear_forward(grouped_linear_dims(c.in_shape(0), c.in_shape(1), c.out_shape(0)),
                                    static_cast<const GroupedLinearOp&>(op).params(), c.in<Real>(0), c.in<Real>(1),
                                    c.in<Real>(2), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& /*op*/, const RunContext& c) {
  reference::grouped_linear_backward(grouped_linear_dims(c.in_shape(2), c.in_shape(3), c.in_shape(0)), c.in<Real>(0),
                                     c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.out<Real>(0), c.accumulate(0),
                                     c.out<Real>(1), c.out<Real>(2));
}

struct Sizes {
  std::int64_t groups, rows, in, out;
};

enum class Shared { none, x, w, both };

OpCase grouped_linear_case(const Sizes& s, Shared shared, bool relu, bool bias = true) {
  constexpr const char* kNames[] = {"", "_sharedx", "_sharedw", "_sharedxw"};
  const bool shared_x = shared == Shared::x || shared == Shared::both;
  const bool shared_w = shared == Shared::w || shared == Shared::both;
  OpCase c;
  c.name = fmt::format("groups{}_rows{}_in{}_out{}{}{}{}", s.groups, s.rows, s.in, s.out,
                       kNames[static_cast<int>(shared)], relu ? "_relu" : "", bias ? "" : "_nobias");
  c.op = std::make_shared<GroupedLinearOp>(GroupedLinearParams{relu});
  c.inputs = {CaseInput::normal("x", shared_x ? Shape{s.rows, s.in} : Shape{s.groups, s.rows, s.in}),
              CaseInput::normal("w", shared_w ? Shape{s.out, s.in} : Shape{s.groups, s.out, s.in}),
              bias ? CaseInput::normal("b", {s.groups, s.out}) : CaseInput::absent()};
  return c;
}

}  // namespace

OperatorTests grouped_linear_tests() {
  OperatorTests tests;
  tests.references = {{"grouped_linear", ROAP_REFERENCE(run_forward)},
                      {"grouped_linear_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {
      grouped_linear_case({1, 1, 1, 1}, Shared::none, false), grouped_linear_case({2, 7, 5, 3}, Shared::x, true),
      grouped_linear_case({3, 33, 17, 31}, Shared::none, true), grouped_linear_case({5, 65, 3, 67}, Shared::x, true),
      grouped_linear_case({2, 66, 65, 1}, Shared::none, false), grouped_linear_case({7, 13, 3, 17}, Shared::both, true),
      grouped_linear_case({3, 5, 2, 4}, Shared::w, false, false),
      grouped_linear_case({19, 3, 2, 5}, Shared::x, false, false),
      grouped_linear_case({1, 9, 2, 3}, Shared::both, true), grouped_linear_case({1, 130, 67, 65}, Shared::none, true),
      // More rows than a piece of the CUDA kernels' sums has.
      grouped_linear_case({1, 1030, 3, 2}, Shared::none, true),
      grouped_linear_case({2, 1027, 2, 3}, Shared::both, true),
      grouped_linear_case({100, 64, 96, 96}, Shared::none, true)};
  tests.cases.back().performance = true;
  return tests;
}

}  // namespace roap
