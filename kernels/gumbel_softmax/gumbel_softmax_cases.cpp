#include "kernels/common/sketch_layout.h"
#include "kernels/gumbel_softmax/gumbel_softmax_op.h"
#include "kernels/gumbel_softmax/gumbel_softmax_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::gumbel_softmax_forward(gumbel_softmax_dims(c.in_shape(0)),
                                    static_cast<const GumbelSoftmaxOp&>(op).params(), c.in<Real>(0), c.in<Real>(1),
                                    c.in<std::uint32_t>(2), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  reference::gumbel_softmax_backward(
      gumbel_softmax_dims(c.in_shape(0)), static_cast<const GumbelSoftmaxBackwardOp&>(op).params(), c.in<Real>(0),
      c.in<Real>(1), c.in<Real>(2), c.in<std::uint32_t>(3), c.in<Real>(4), c.out<Real>(0));
}

OpCase gumbel_case(const std::string& layout, std::vector<int> group_sizes, std::int64_t tasks, double sharpness,
                   bool noise, bool straight_through, bool performance = false) {
  std::int64_t logits = 0;
  for (const int size : group_sizes) logits += size;
  OpCase c;
  c.name = fmt::format("{}_t{}_sharpness{}{}{}", layout, tasks, sharpness, noise ? "" : "_no_noise",
                       straight_through ? "_straight_through" : "");
  c.op = std::make_shared<GumbelSoftmaxOp>(GumbelSoftmaxParams{std::move(group_sizes), noise, straight_through});
  c.inputs = {CaseInput::normal("logits", {tasks, logits}),
              CaseInput::list("sharpness", f32({1}), {sharpness}).constant(),
              CaseInput::list("key", u32({4}), {123456789, 42, 3, 77})};
  // The forward value is a step function there: its gradient is that of another function by definition.
  c.check_gradient = !straight_through;
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests gumbel_softmax_tests() {
  const auto lines = [](int symbols, int count) { return StraightLineLayout{symbols, count}.group_sizes(); };
  const auto tree = [](int symbols, int depth) { return TreeLayout{symbols, depth}.group_sizes(); };
  OperatorTests tests;
  // Rows that are no multiple of four start inside a random draw.
  tests.references = {{"gumbel_softmax", ROAP_REFERENCE(run_forward)},
                      {"gumbel_softmax_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {
      gumbel_case("groups1", {1}, 1, 1, true, false), gumbel_case("groups1_2_18", {1, 2, 18}, 3, 3, true, false),
      gumbel_case("groups15_2", {15, 2}, 5, 1, true, false), gumbel_case("lines3", lines(3, 3), 5, 1, true, false),
      gumbel_case("lines3", lines(3, 3), 5, 3, true, true), gumbel_case("lines2", lines(3, 2), 7, 1, true, true),
      gumbel_case("lines5", lines(4, 5), 3, 3, false, false), gumbel_case("lines5", lines(4, 5), 3, 1, false, true),
      // Tiles of 16 rows: one row more, one less, several; groups wider than a vector.
      gumbel_case("groups3_17_33", {3, 17, 33}, 17, 1, true, false),
      gumbel_case("groups3_17_33", {3, 17, 33}, 31, 3, true, true), gumbel_case("groups65", {65}, 15, 1, false, false),
      gumbel_case("lines3", lines(3, 3), 50, 1, true, false), gumbel_case("tree3", tree(3, 3), 9, 3, true, false),
      gumbel_case("tree2", tree(1, 2), 1, 1, true, true),
      gumbel_case("lines30", lines(3, 30), 500, 1, true, false, true),
      gumbel_case("lines30", lines(3, 30), 500, 3, true, true, true)};
  return tests;
}

}  // namespace roap
