#include "kernels/task_loss/task_loss_op.h"
#include "kernels/task_loss/task_loss_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::task_loss_forward(task_loss_dims(c.in_shape(0), c.in_shape(1)),
                               static_cast<const TaskLossOp&>(op).params(), c.in<Real>(0), c.in<Real>(1), c.in<Real>(2),
                               c.in<Real>(3), c.in<Real>(4), c.in<Real>(5), c.out<Real>(0), c.out<Real>(1));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  reference::task_loss_backward(task_loss_dims(c.in_shape(1), c.in_shape(2)),
                                static_cast<const TaskLossBackwardOp&>(op).params(), c.in<Real>(0), c.in<Real>(1),
                                c.in<Real>(2), c.in<Real>(3), c.in<Real>(4), c.in<Real>(5), c.in<Real>(6),
                                c.out<Real>(0), c.out<Real>(1));
}

OpCase loss_case(TaskLossParams params, double floor, std::int64_t tasks, std::int64_t pairs, bool length,
                 bool performance = false) {
  OpCase c;
  const bool profiled = params.kind == TaskLossKind::profiled;
  c.name = fmt::format("{}_floor{}_t{}_s{}_b{}{}", profiled ? "profiled" : "gaussian", floor, tasks, params.samples,
                       pairs, length ? "" : "_no_length");
  c.op = std::make_shared<TaskLossOp>(params);
  c.inputs = {CaseInput::normal("yhat", {tasks * params.samples, pairs}),
              CaseInput::normal("y", {tasks, pairs}).constant(),
              CaseInput::uniform("sigma", {tasks}, 0.2, 2).constant(),
              length ? CaseInput::uniform("length", {tasks * params.samples}, 0, 20) : CaseInput::absent(),
              CaseInput::list("lambda", f32({1}), {0.05}).constant(),
              profiled ? CaseInput::list("floor", f32({1}), {floor}).constant() : CaseInput::absent()};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests task_loss_tests() {
  constexpr TaskLossParams kGaussian{TaskLossKind::gaussian, 1}, kProfiled{TaskLossKind::profiled, 1};
  OperatorTests tests;
  tests.references = {{"task_loss", ROAP_REFERENCE(run_forward)}, {"task_loss_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {loss_case(kGaussian, 1, 1, 1, true),
                 loss_case(kGaussian, 1, 3, 17, true),
                 loss_case(kGaussian, 1, 5, 7, false),
                 loss_case(kProfiled, 1, 1, 16, true),
                 loss_case(kProfiled, 1, 5, 33, false),
                 loss_case(kProfiled, 0.01, 3, 7, true),
                 loss_case({TaskLossKind::profiled, 5}, 0.01, 7, 3, true),
                 loss_case({TaskLossKind::gaussian, 3}, 1, 2, 9, true),
                 loss_case(kProfiled, 1, 67, 3, true),
                 loss_case(kGaussian, 1, 500, 64, true, true),
                 loss_case(kProfiled, 1, 500, 64, true, true)};
  return tests;
}

}  // namespace roap
