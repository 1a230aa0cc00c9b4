#include <limits>

#include "kernels/gradient_guard/gradient_guard_op.h"
#include "kernels/gradient_guard/gradient_guard_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run(const Op& /*op*/, const RunContext& c) {
  reference::gradient_guard(c.in_shape(1).count(), c.in<Real>(0), c.in<Real>(1), c.out<Real>(0));
}

OpCase guard_case(std::string name, double loss, CaseInput gradients, bool performance = false) {
  OpCase c;
  c.name = std::move(name);
  c.op = std::make_shared<GradientGuardOp>();
  c.inputs = {CaseInput::list("loss", f32({1}), {loss}).constant(), std::move(gradients).constant()};
  c.check_gradient = false;
  c.performance = performance;
  return c;
}

/// Ones, with `value` at `index`.
CaseInput ones_but(std::int64_t count, std::size_t index, double value) {
  std::vector<double> values(static_cast<std::size_t>(count), 1.0);
  values[index] = value;
  return CaseInput::list("gradients", f32({count}), std::move(values));
}

}  // namespace

OperatorTests gradient_guard_tests() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto normal = [](std::int64_t count) { return CaseInput::normal("gradients", {count}); };
  OperatorTests tests;
  tests.references = {{"gradient_guard", ROAP_REFERENCE(run)}};
  tests.cases = {guard_case("n1", 0.5, normal(1)),
                 guard_case("n17", 0.5, normal(17)),
                 guard_case("n40001", 0.5, normal(40001)),
                 guard_case("loss_nan", kNan, normal(33)),
                 guard_case("loss_infinite", kInfinity, normal(33)),
                 guard_case("gradient_nan", 0.5, ones_but(16385, 16384, kNan)),
                 guard_case("gradient_infinite", 0.5, ones_but(40001, 20011, -kInfinity)),
                 guard_case("square_exceeds_float", 0.5, ones_but(19, 18, 1e30)),
                 guard_case("n12300000", 0.5, normal(12300000), true)};
  tests.no_gradient_reason = "it inspects gradients and is no part of the loss";
  return tests;
}

}  // namespace roap
