#include "kernels/common/sketch_layout.h"
#include "kernels/mix_uniform/mix_uniform_op.h"
#include "kernels/mix_uniform/mix_uniform_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::mix_uniform_forward(mix_uniform_dims(c.in_shape(0)), static_cast<const MixUniformOp&>(op).params(),
                                 c.in<Real>(0), c.in<Real>(1), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  reference::mix_uniform_backward(mix_uniform_dims(c.in_shape(1)),
                                  static_cast<const MixUniformBackwardOp&>(op).params(), c.in<Real>(0), c.in<Real>(1),
                                  c.in<Real>(2), c.out<Real>(0));
}

OpCase mix_case(const std::string& layout, std::vector<int> group_sizes, std::int64_t tasks, double share,
                double deviation = 2, bool performance = false) {
  std::int64_t logits = 0;
  for (const int size : group_sizes) logits += size;
  OpCase c;
  c.name = fmt::format("{}_t{}_share{}_deviation{}", layout, tasks, share, deviation);
  c.op = std::make_shared<MixUniformOp>(MixUniformParams{std::move(group_sizes)});
  c.inputs = {CaseInput::normal("logits", {tasks, logits}, 0, deviation),
              CaseInput::list("share", f32({1}), {share}).constant()};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests mix_uniform_tests() {
  OperatorTests tests;
  tests.references = {{"mix_uniform", ROAP_REFERENCE(run_forward)},
                      {"mix_uniform_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {mix_case("groups1", {1}, 1, 0.5),
                 mix_case("groups1_2_18", {1, 2, 18}, 3, 0.1),
                 mix_case("groups15_2_33", {15, 2, 33}, 9, 0),
                 mix_case("groups3_4_5", {3, 4, 5}, 17, 0.01, 60),  // choices that are certain but for the mixture
                 mix_case("lines5", StraightLineLayout{3, 5}.group_sizes(), 7, 0.03),
                 mix_case("lines30", StraightLineLayout{3, 30}.group_sizes(), 500, 0.03, 2, true)};
  return tests;
}

}  // namespace roap
