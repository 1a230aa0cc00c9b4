#include "kernels/point_max/point_max_op.h"
#include "kernels/point_max/point_max_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& /*op*/, const RunContext& c) {
  reference::point_max_forward(point_max_dims(c.in_shape(0)), c.in<Real>(0), c.out<Real>(0), c.out<std::int32_t>(1));
}

template <class Real>
void run_backward(const Op& /*op*/, const RunContext& c) {
  reference::point_max_backward(point_max_dims(c.out_shape(0)), c.in<Real>(0), c.in<std::int32_t>(1), c.out<Real>(0),
                                c.accumulate(0));
}

OpCase point_max_case(std::int64_t sets, std::int64_t points, std::int64_t channels, bool performance = false) {
  OpCase c;
  c.name = fmt::format("sets{}_points{}_channels{}", sets, points, channels);
  c.op = std::make_shared<PointMaxOp>();
  c.inputs = {CaseInput::normal("x", {sets, points, channels})};
  c.performance = performance;
  return c;
}

/// Few different values: the lowest point must win. A maximum has no derivative at a tie.
OpCase tie_case(std::int64_t sets, std::int64_t points, std::int64_t channels) {
  OpCase c = point_max_case(sets, points, channels);
  c.name += "_ties";
  c.inputs = {CaseInput::integers("x", f32({sets, points, channels}), -1, 1)};
  c.check_gradient = false;
  return c;
}

}  // namespace

OperatorTests point_max_tests() {
  OperatorTests tests;
  tests.references = {{"point_max", ROAP_REFERENCE(run_forward)}, {"point_max_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {point_max_case(1, 1, 1),           point_max_case(3, 7, 5), point_max_case(5, 1, 17),
                 point_max_case(2, 64, 33),         tie_case(4, 9, 31),      tie_case(7, 13, 16),
                 point_max_case(500, 64, 256, true)};
  return tests;
}

}  // namespace roap
