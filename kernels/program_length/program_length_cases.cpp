#include "kernels/program_length/program_length_op.h"
#include "kernels/program_length/program_length_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  std::visit(
      [&](const auto& layout) {
        reference::program_length_forward(layout, c.in_shape(0)[0], c.in<Real>(0), c.out<Real>(0));
      },
      static_cast<const ProgramLengthOp&>(op).params());
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  std::visit(
      [&](const auto& layout) {
        reference::program_length_backward(layout, c.in_shape(1)[0], c.in<Real>(0), c.in<Real>(1), c.out<Real>(0),
                                           c.accumulate(0));
      },
      static_cast<const ProgramLengthBackwardOp&>(op).params());
}

OpCase length_case(const std::string& name, SketchLayout layout, std::int64_t tasks, bool performance = false) {
  const std::int64_t count = std::visit([](const auto& l) { return l.count(); }, layout);
  OpCase c;
  c.name = fmt::format("{}_t{}", name, tasks);
  c.op = std::make_shared<ProgramLengthOp>(layout);
  c.inputs = {CaseInput::uniform("z", {tasks, count}, 0, 0.4)};
  c.performance = performance;
  return c;
}

OpCase lines_case(int symbols, int lines, std::int64_t tasks, bool performance = false) {
  return length_case(fmt::format("lines_v{}_l{}", symbols, lines), StraightLineLayout{symbols, lines}, tasks,
                     performance);
}

OpCase tree_case(int symbols, int depth, std::int64_t tasks) {
  return length_case(fmt::format("tree_v{}_d{}", symbols, depth), TreeLayout{symbols, depth}, tasks);
}

}  // namespace

OperatorTests program_length_tests() {
  OperatorTests tests;
  tests.references = {{"program_length", ROAP_REFERENCE(run_forward)},
                      {"program_length_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {lines_case(1, 1, 1), lines_case(3, 3, 5),  lines_case(4, 5, 17),        lines_case(3, 10, 3),
                 tree_case(1, 1, 1),  tree_case(3, 2, 5),   tree_case(4, 3, 17),         tree_case(3, 5, 3),
                 tree_case(1, 7, 2),  lines_case(2, 35, 3), lines_case(3, 30, 500, true)};
  return tests;
}

}  // namespace roap
