#include "kernels/wake_loss/wake_loss_op.h"
#include "kernels/wake_loss/wake_loss_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::wake_loss_forward(wake_loss_dims(c.in_shape(1), c.in_shape(2)), static_cast<const WakeLossOp&>(op).params(),
                               c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  reference::wake_loss_backward(wake_loss_dims(c.in_shape(1), c.in_shape(2)),
                                static_cast<const WakeLossBackwardOp&>(op).params(), c.in<Real>(0), c.in<Real>(1),
                                c.in<Real>(2), c.in<Real>(3), c.out<Real>(0), c.out<Real>(1));
}

OpCase wake_case(std::int64_t tasks, std::int64_t samples, std::vector<int> group_sizes, bool performance = false) {
  std::int64_t logits = 0;
  for (const int size : group_sizes) logits += size;
  OpCase c;
  c.name = fmt::format("t{}_s{}_groups{}", tasks, samples, group_sizes.size());
  c.op = std::make_shared<WakeLossOp>(WakeLossParams{std::move(group_sizes), 0.3, 0.1});
  c.inputs = {CaseInput::normal("base", {1}), CaseInput::normal("logits", {tasks, logits}, 0, 2),
              CaseInput::uniform("z", {tasks * samples, logits}, 0, 1).constant(),
              CaseInput::uniform("error", {tasks * samples}, 0, 2).constant()};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests wake_loss_tests() {
  OperatorTests tests;
  tests.references = {{"wake_loss", ROAP_REFERENCE(run_forward)}, {"wake_loss_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {wake_case(1, 1, {1}), wake_case(3, 5, {4, 4, 3, 5}), wake_case(17, 2, {7}),
                 wake_case(9, 3, {2, 1, 33}), wake_case(100, 16, std::vector<int>(24, 6), true)};
  return tests;
}

}  // namespace roap
