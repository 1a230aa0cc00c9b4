#include "kernels/layer_norm/layer_norm_op.h"
#include "kernels/layer_norm/layer_norm_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const LayerNormDims dims = static_cast<const LayerNormOp&>(op).dims(c.in_shape(0));
  reference::layer_norm_forward(dims, c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.out<Real>(0), c.out<Real>(1),
                                c.out<Real>(2));
}

template <class Real>
void run_backward(const Op& op, const RunContext& c) {
  const LayerNormDims dims = static_cast<const LayerNormBackwardOp&>(op).dims(c.in_shape(2));
  reference::layer_norm_backward(dims, c.in<Real>(0), c.in<Real>(1), c.in<Real>(2), c.in<Real>(3), c.in<Real>(4),
                                 c.in<Real>(5), c.out<Real>(0), c.accumulate(0), c.out<Real>(1), c.out<Real>(2));
}

OpCase layer_norm_case(std::int64_t rows, std::int64_t columns, bool relu, double mean = 0, bool performance = false) {
  OpCase c;
  c.name = fmt::format("rows{}_columns{}{}{}", rows, columns, relu ? "_relu" : "", mean != 0 ? "_far" : "");
  c.op = std::make_shared<LayerNormOp>(LayerNormParams{relu});
  c.inputs = {CaseInput::normal("x", {rows, columns}, mean), CaseInput::normal("gamma", {columns}, 1, 0.5),
              CaseInput::normal("beta", {columns}, 0, 0.5)};
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests layer_norm_tests() {
  OperatorTests tests;
  tests.references = {{"layer_norm", ROAP_REFERENCE(run_forward)},
                      {"layer_norm_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {
      layer_norm_case(1, 2, false),        layer_norm_case(7, 5, true),      layer_norm_case(33, 16, true),
      layer_norm_case(65, 31, false),      layer_norm_case(67, 33, true),    layer_norm_case(2100, 17, true),
      layer_norm_case(13, 256, true, 100), layer_norm_case(1, 67, false, 0), layer_norm_case(500, 256, true, 0, true)};
  return tests;
}

}  // namespace roap
