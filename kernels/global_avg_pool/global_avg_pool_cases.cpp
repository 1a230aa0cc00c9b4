#include "kernels/global_avg_pool/global_avg_pool_op.h"
#include "kernels/global_avg_pool/global_avg_pool_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& /*op*/, const RunContext& c) {
  reference::global_avg_pool_forward(global_avg_pool_dims(c.in_shape(0)), c.in<Real>(0), c.out<Real>(0));
}

template <class Real>
void run_backward(const Op& /*op*/, const RunContext& c) {
  reference::global_avg_pool_backward(global_avg_pool_dims(c.out_shape(0)), c.in<Real>(0), c.out<Real>(0),
                                      c.accumulate(0));
}

OpCase pool_case(const Shape& x, bool performance = false) {
  OpCase c;
  c.name = fmt::format("{}x{}x{}x{}", x[0], x[1], x[2], x[3]);
  c.op = std::make_shared<GlobalAvgPoolOp>();
  c.inputs = {CaseInput::normal("x", x)};
  c.performance = performance;
  return c;
}

OpCase bf16_case(const Shape& x) {
  OpCase c = pool_case(x);
  c.name += "_bf16";
  c.inputs[0] = std::move(c.inputs[0]).in_bf16();
  return c;
}

}  // namespace

OperatorTests global_avg_pool_tests() {
  OperatorTests tests;
  tests.references = {{"global_avg_pool", ROAP_REFERENCE(run_forward)},
                      {"global_avg_pool_backward", ROAP_REFERENCE(run_backward)}};
  tests.cases = {pool_case({1, 1, 1, 1}),  pool_case({3, 9, 7, 3}),   pool_case({7, 2, 2, 17}),
                 pool_case({5, 1, 1, 64}), pool_case({67, 5, 5, 65}), bf16_case({3, 9, 7, 3}),
                 bf16_case({5, 1, 1, 64}), bf16_case({7, 2, 3, 24}),  pool_case({192, 4, 4, 512}, true)};
  return tests;
}

}  // namespace roap
