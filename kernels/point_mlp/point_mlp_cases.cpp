#include "kernels/point_mlp/point_mlp_op.h"
#include "kernels/point_mlp/point_mlp_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const auto& mlp = static_cast<const PointMlpOp&>(op);
  reference::point_mlp_forward(mlp.dims(c.input_specs()), point_mlp_inputs<Real>(c, 0, mlp.columns()), c.out<Real>(0),
                               c.out<std::int32_t>(1));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const auto& mlp = static_cast<const PointMlpBackwardOp&>(op);
  std::vector<std::vector<Real>> unwanted;
  std::vector<Real*> out;
  for (std::size_t i = 0; i <= kPointMlpWeights; ++i) {  // s and the weights, inputs from 3 on
    const auto count = static_cast<std::size_t>(c.in_shape(3 + i).count());
    out.push_back(c.out<Real>(i));
    if (out[i] == nullptr) {
      unwanted.emplace_back(count, Real{0});
      out[i] = unwanted.back().data();
    } else if (!c.accumulate(i)) {
      std::fill_n(out[i], count, Real{0});
    }
  }
  reference::point_mlp_backward(mlp.dims(c.input_specs()), point_mlp_inputs<Real>(c, 2, mlp.columns()), c.in<Real>(0),
                                c.in<std::int32_t>(1), out[0],
                                {out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8], out[9], out[10]});
}

using Columns = std::vector<std::vector<int>>;

/// y are integers below `values` (many tasks share rows), or all different where values = 0.
OpCase point_mlp_case(const std::string& mode, Columns columns, std::int64_t tasks, std::int64_t pairs,
                      std::int64_t hidden, std::int64_t features, int values, bool performance = false) {
  OpCase c;
  c.name = fmt::format("{}_tasks{}_pairs{}_hidden{}_features{}_values{}", mode, tasks, pairs, hidden, features, values);
  const auto in = static_cast<std::int64_t>(1 + columns[0].size());
  const double scale = std::sqrt(1.0 / static_cast<double>(hidden));
  c.inputs = {values > 0 ? CaseInput::integers("y", f32({tasks, pairs}), 0, values - 1).constant()
                         : CaseInput::normal("y", {tasks, pairs}).constant(),
              in > 1 ? CaseInput::uniform("s", {pairs, 3}, -1, 1) : CaseInput::absent(),
              CaseInput::normal("w0", {hidden, in}),
              CaseInput::normal("b0", {hidden}),
              CaseInput::normal("gamma1", {hidden}, 1, 0.2),
              CaseInput::normal("beta1", {hidden}, 0.1, 0.2),
              CaseInput::normal("w3", {hidden, hidden}, 0, scale),
              CaseInput::normal("b3", {hidden}, 0, 0.2),
              CaseInput::normal("gamma4", {hidden}, 1, 0.2),
              CaseInput::normal("beta4", {hidden}, 0.1, 0.2),
              CaseInput::normal("w6", {features, hidden}, 0, scale),
              CaseInput::normal("b6", {features}, 0, 0.2)};
  c.op = std::make_shared<PointMlpOp>(PointMlpParams{std::move(columns), {}});
  c.performance = performance;
  if (performance) c.near_ties = 1e-3;  // of 128,000 winners and more, some are ties in f32
  return c;
}

/// Inputs to which y makes hardly any difference, or one that is opposite to the symbol's: the rows of a line then lie
/// close together, or the line passes close to zero.
OpCase line_case(const std::string& mode, double y_weight, double s_weight) {
  OpCase c = point_mlp_case(mode, {{0}, {2}}, 21, 5, 19, 18, 9);
  std::vector<double> w0, b0;
  for (int k = 0; k < 19; ++k) {
    w0.insert(w0.end(), {y_weight * std::cos(3 * k), s_weight * std::cos(3 * k) + 0.1 * std::sin(5 * k)});
    b0.push_back(std::cos(3 * k) * y_weight * -4 + 0.1 * std::cos(k * k));
  }
  c.inputs[2] = CaseInput::list("w0", c.inputs[2].spec, std::move(w0));
  c.inputs[3] = CaseInput::list("b0", c.inputs[3].spec, std::move(b0));
  return c;
}

/// Gradients of a few inputs only.
OpCase some_constant_case() {
  OpCase c = point_mlp_case("io", {{2, 1}}, 9, 6, 19, 21, 4);
  c.name += "_constants";
  for (const std::size_t i : {1, 2, 4, 6, 10, 11}) c.inputs[i].differentiable = false;
  return c;
}

/// Without shared rows on the CPU. The reference's gradient is that of the cases with them.
OpCase every_row_case(OpCase c) {
  c.name += "_every_row";
  c.check_gradient = false;
  PointMlpParams params = static_cast<const PointMlpOp&>(*c.op).params();
  params.options.share_rows = false;
  c.op = std::make_shared<PointMlpOp>(std::move(params));
  return c;
}

/// Sizes beyond those of finite differences: many rows, or networks too large for fused kernels.
OpCase large_case(OpCase c) {
  c.check_gradient = false;
  return c;
}

/// h of the tensor-core kernels. A near tie may have another winner, so that neither index nor gradients through it are
/// compared. The operands of layers 3 and 6 are rounded to bf16, with a relative error of up to 1/512 each; of the
/// sums, which are as large as the root of the number of terms, this is a fraction of 1/256, in both layers.
OpCase bf16_case(OpCase c) {
  c.name += "_bf16";
  PointMlpParams params = static_cast<const PointMlpOp&>(*c.op).params();
  params.options.math = ProductMath::bf16;
  c.op = std::make_shared<PointMlpOp>(std::move(params));
  for (CaseInput& input : c.inputs) input.differentiable = false;
  c.compared_outputs = {0};
  c.check_gradient = false;
  c.cuda_bf16_roundings = 3;
  return c;
}

/// The same by the kernel for all cards, where sm_90a has one of its own.
OpCase portable_case(OpCase c) {
  c.name += "_portable";
  PointMlpParams params = static_cast<const PointMlpOp&>(*c.op).params();
  params.options.warpgroups = false;
  c.op = std::make_shared<PointMlpOp>(std::move(params));
  return c;
}

/// Gradients of the tensor-core kernels through given winners. A ReLU's argument near zero may have another sign, after
/// which gradients are not close any more; here none is near, and a third of the units is off.
OpCase bf16_backward_case(const OpCase& forward) {
  OpCase c = bf16_case(forward);
  c.name += "_backward";
  const auto& op = static_cast<const PointMlpOp&>(*c.op);
  Specs specs;
  for (const CaseInput& input : c.inputs) specs.push_back(input.spec);
  const Specs outputs = op.infer(specs);
  const auto pairs = static_cast<double>(specs[0].shape[1]);
  for (const std::size_t beta : {5, 9}) {
    std::vector<double> values;
    for (std::int64_t k = 0; k < specs[beta].shape.count(); ++k) values.push_back(k % 3 == 0 ? -5 : 5);
    c.inputs[beta] = CaseInput::list(c.inputs[beta].name, specs[beta], std::move(values)).constant();
    c.inputs[beta - 1] = CaseInput::normal(c.inputs[beta - 1].name, specs[beta].shape, 1, 0.05).constant();
  }
  c.inputs.insert(c.inputs.begin(), {CaseInput::normal("dh", outputs[0].shape).constant(),
                                     CaseInput::integers("index", outputs[1], 0, pairs - 1)});
  c.op = std::make_shared<PointMlpBackwardOp>(op.params());
  c.compared_outputs.clear();
  for (std::size_t i = specs[1].present() ? 0 : 1; i <= kPointMlpWeights; ++i) c.compared_outputs.push_back(i);
  c.cuda_bf16_roundings = 3;
  return c;
}

}  // namespace

OperatorTests point_mlp_tests() {
  const Columns out{{}}, rel{{0}, {1}, {2}}, io{{0, 1, 2}};
  OperatorTests tests;
  tests.references = {{"point_mlp", ROAP_REFERENCE(run_forward)}, {"point_mlp_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {point_mlp_case("out", out, 1, 1, 16, 16, 0),
                 point_mlp_case("out", out, 23, 9, 17, 5, 7),
                 point_mlp_case("out", out, 6, 13, 64, 33, 0),
                 point_mlp_case("rel", rel, 1, 7, 5, 17, 0),
                 point_mlp_case("rel", rel, 19, 1, 16, 5, 3),
                 point_mlp_case("rel", rel, 34, 11, 17, 35, 5),
                 point_mlp_case("rel", rel, 5, 37, 67, 16, 0),
                 point_mlp_case("mixed", {{2, 0}, {1, 1}}, 7, 5, 31, 32, 4),
                 point_mlp_case("io", io, 3, 33, 65, 67, 0),
                 point_mlp_case("io", io, 21, 12, 32, 15, 6),
                 line_case("flat", 0, 1),
                 line_case("steep", 30, -2),
                 line_case("through_zero", 1, 0.01),
                 some_constant_case(),
                 every_row_case(point_mlp_case("out", out, 23, 9, 17, 5, 7)),
                 every_row_case(point_mlp_case("rel", rel, 34, 11, 17, 35, 5)),
                 point_mlp_case("rel", rel, 1, 150, 17, 16, 0),
                 large_case(point_mlp_case("io", io, 2, 3, 5, 259, 0)),
                 large_case(point_mlp_case("mixed", {{2, 0}, {1, 1}}, 500, 70, 5, 31, 0)),
                 large_case(point_mlp_case("rel", rel, 3, 9, 259, 7, 0)),
                 large_case(point_mlp_case("many", {Columns::value_type(17, 1)}, 5, 7, 16, 9, 3)),
                 bf16_case(point_mlp_case("out", out, 23, 9, 17, 5, 7)),
                 bf16_case(point_mlp_case("rel", rel, 1, 150, 33, 16, 0)),
                 bf16_case(point_mlp_case("mixed", {{2, 0}, {1, 1}}, 7, 5, 67, 96, 0)),
                 bf16_case(point_mlp_case("io", io, 2, 131, 128, 97, 0)),
                 bf16_case(point_mlp_case("io", io, 1, 130, 129, 192, 0)),
                 bf16_case(point_mlp_case("rel", rel, 1, 129, 256, 256, 0)),
                 portable_case(bf16_case(point_mlp_case("rel", rel, 1, 129, 256, 256, 0))),
                 bf16_case(point_mlp_case("out", out, 5, 64, 256, 255, 0)),
                 bf16_case(point_mlp_case("io", io, 2, 65, 193, 257, 0)),
                 bf16_case(point_mlp_case("rel", rel, 90, 1, 250, 16, 7)),
                 bf16_case(point_mlp_case("many", {Columns::value_type(6, 1)}, 1, 2, 201, 33, 0)),
                 bf16_case(point_mlp_case("many", {Columns::value_type(7, 1)}, 1, 3, 201, 33, 0)),
                 bf16_case(point_mlp_case("rel", rel, 2, 3, 5, 259, 0)),
                 bf16_case(point_mlp_case("many", {Columns::value_type(15, 1)}, 5, 7, 16, 9, 0)),
                 bf16_case(point_mlp_case("io", io, 3, 5, 257, 7, 0)),
                 bf16_backward_case(point_mlp_case("out", out, 23, 9, 17, 5, 7)),
                 bf16_backward_case(point_mlp_case("rel", rel, 3, 150, 33, 16, 0)),
                 bf16_backward_case(point_mlp_case("mixed", {{2, 0}, {1, 1}}, 7, 5, 67, 96, 0)),
                 bf16_backward_case(point_mlp_case("io", io, 2, 131, 128, 97, 0)),
                 bf16_backward_case(point_mlp_case("io", io, 1, 130, 129, 192, 0)),
                 bf16_backward_case(point_mlp_case("rel", rel, 1, 129, 256, 256, 0)),
                 bf16_backward_case(portable_case(point_mlp_case("rel", rel, 1, 129, 256, 256, 0))),
                 bf16_backward_case(point_mlp_case("out", out, 4, 65, 200, 40, 0)),
                 bf16_backward_case(point_mlp_case("rel", rel, 1, 2, 256, 16, 0)),
                 bf16_backward_case(point_mlp_case("mixed", {{2, 0}, {1, 1}}, 2, 66, 256, 259, 0)),
                 bf16_backward_case(point_mlp_case("io", io, 2, 131, 200, 259, 0)),
                 bf16_backward_case(point_mlp_case("many", {Columns::value_type(4, 1)}, 3, 40, 193, 33, 0)),
                 bf16_backward_case(point_mlp_case("many", {Columns::value_type(6, 1)}, 3, 90, 201, 40, 0)),
                 bf16_backward_case(point_mlp_case("many", {Columns::value_type(7, 1)}, 1, 3, 201, 33, 0)),
                 bf16_backward_case(point_mlp_case("rel", rel, 2, 3, 5, 259, 0)),
                 bf16_backward_case(point_mlp_case("mixed", {{2, 0}, {1, 1}}, 1200, 24, 5, 24, 0)),
                 bf16_backward_case(point_mlp_case("many", {Columns::value_type(15, 1)}, 5, 7, 16, 9, 0)),
                 bf16_backward_case(point_mlp_case("io", io, 3, 5, 257, 7, 0)),
                 point_mlp_case("out", out, 500, 64, 256, 256, 1000, true),
                 point_mlp_case("rel", rel, 500, 64, 256, 256, 216, true),
                 point_mlp_case("io", io, 500, 64, 256, 256, 216, true),
                 point_mlp_case("io", io, 100, 64, 64, 64, 45, true)};
  return tests;
}

}  // namespace roap
