#include <limits>

#include "kernels/adam_step/adam_step_op.h"
#include "kernels/adam_step/adam_step_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run(const Op& op, const RunContext& c) {
  reference::adam_step<Real>(
      c.in_shape(0).count(), static_cast<const AdamStepOp&>(op).params(),
      {c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4), c.in<Real>(5), c.in<Real>(6)},
      {c.out<Real>(0), c.out<Real>(1), c.out<Real>(2), c.out<Real>(3)});
}

struct Given {
  std::int64_t count = 1, boundary = 0;
  double steps = 0, finite = 1, norm = 1, clip = 0;
};

OpCase adam_case(std::string name, const Given& given, bool performance = false) {
  OpCase c;
  c.name = std::move(name);
  AdamParams params;
  params.boundary = given.boundary;
  params.clip = given.clip;
  c.op = std::make_shared<AdamStepOp>(params);
  const Shape shape{given.count};
  c.inputs = {CaseInput::normal("weights", shape).constant(),
              CaseInput::normal("gradients", shape, 0, 0.1).constant(),
              CaseInput::normal("moment1", shape, 0, given.steps > 0 ? 0.05 : 0).constant(),
              CaseInput::uniform("moment2", shape, 0, given.steps > 0 ? 0.01 : 0).constant(),
              CaseInput::list("step", f32({1}), {given.steps}).constant(),
              CaseInput::list("guard", f32({2}), {given.finite, given.norm}).constant(),
              CaseInput::list("rates", f32({2}), {0.001, 0.02}).constant()};
  c.check_gradient = false;
  c.performance = performance;
  return c;
}

/// A step that the guard refused: NaN gradients must not reach any output.
OpCase refused_case() {
  OpCase c = adam_case("refused_nan", {33, 20, 7, 0, std::numeric_limits<double>::quiet_NaN(), 1});
  c.inputs[1] =
      CaseInput::list("gradients", f32({33}), std::vector<double>(33, std::numeric_limits<double>::quiet_NaN()))
          .constant();
  return c;
}

}  // namespace

OperatorTests adam_step_tests() {
  OperatorTests tests;
  tests.references = {{"adam_step", ROAP_REFERENCE(run)}};
  tests.cases = {adam_case("n1_first_step", {.count = 1}),
                 adam_case("n17_first_step", {.count = 17, .boundary = 5}),
                 adam_case("n33_step999", {.count = 33, .boundary = 33, .steps = 999}),
                 adam_case("n70001_boundary32769", {.count = 70001, .boundary = 32769, .steps = 12}),
                 adam_case("clipped", {.count = 67, .boundary = 16, .steps = 3, .norm = 8, .clip = 1}),
                 adam_case("below_clip", {.count = 67, .boundary = 16, .steps = 3, .norm = 0.5, .clip = 1}),
                 refused_case(),
                 adam_case("n12300000", {.count = 12300000, .boundary = 11200000, .steps = 100}, true)};
  tests.no_gradient_reason = "it consumes gradients and is no part of the loss";
  return tests;
}

}  // namespace roap
