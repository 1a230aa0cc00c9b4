#include "kernels/program_length/program_length_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> workspace_of(const SketchLayout& layout, std::int64_t tasks) {
  return std::make_unique<WorkspaceState>(
      std::visit([&](const auto& l) { return cuda::program_length_workspace(l, tasks); }, layout));
}

std::unique_ptr<OpState> prepare_forward(const Op& op, const Specs& in, const Specs& /*out*/) {
  return workspace_of(static_cast<const ProgramLengthOp&>(op).params(), in[0].shape[0]);
}

std::unique_ptr<OpState> prepare_backward(const Op& op, const Specs& in, const Specs& /*out*/) {
  return workspace_of(static_cast<const ProgramLengthBackwardOp&>(op).params(), in[1].shape[0]);
}

void run_forward(const Op& op, const RunContext& c) {
  std::visit(
      [&](const auto& layout) {
        cuda::program_length_forward(layout, c.in_shape(0)[0], c.in<float>(0), c.out<float>(0), c.workspace<float>(),
                                     c.stream());
      },
      static_cast<const ProgramLengthOp&>(op).params());
}

void run_backward(const Op& op, const RunContext& c) {
  std::visit(
      [&](const auto& layout) {
        cuda::program_length_backward(layout, c.in_shape(1)[0], c.in<float>(0), c.in<float>(1), c.out<float>(0),
                                      c.accumulate(0), c.workspace<float>(), c.stream());
      },
      static_cast<const ProgramLengthBackwardOp&>(op).params());
}

}  // namespace

void program_length_register_cuda() {
  register_cuda("program_length", {run_forward, prepare_forward});
  register_cuda("program_length_backward", {run_backward, prepare_backward});
}

}  // namespace roap
