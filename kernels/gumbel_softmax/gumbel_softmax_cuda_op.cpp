#include "engine/cuda/state.h"
#include "kernels/gumbel_softmax/gumbel_softmax_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> offsets_of(const GumbelSoftmaxParams& params) {
  std::vector<int> offsets{0};
  for (const int size : params.group_sizes) offsets.push_back(offsets.back() + size);
  return std::make_unique<cuda::TableState>(offsets);
}

template <class O>
std::unique_ptr<OpState> prepare(const Op& op, const Specs& /*inputs*/, const Specs& /*outputs*/) {
  return offsets_of(static_cast<const O&>(op).params());
}

void run_forward(const Op& op, const RunContext& c) {
  cuda::gumbel_softmax_forward(gumbel_softmax_dims(c.in_shape(0)), static_cast<const GumbelSoftmaxOp&>(op).params(),
                               c.in<float>(0), c.in<float>(1), c.in<std::uint32_t>(2), c.out<float>(0),
                               c.state<cuda::TableState>().values(), c.stream());
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::gumbel_softmax_backward(gumbel_softmax_dims(c.in_shape(0)),
                                static_cast<const GumbelSoftmaxBackwardOp&>(op).params(), c.in<float>(0),
                                c.in<float>(1), c.in<float>(2), c.in<std::uint32_t>(3), c.in<float>(4), c.out<float>(0),
                                c.state<cuda::TableState>().values(), c.stream());
}

}  // namespace

void gumbel_softmax_register_cuda() {
  register_cuda("gumbel_softmax", {run_forward, prepare<GumbelSoftmaxOp>});
  register_cuda("gumbel_softmax_backward", {run_backward, prepare<GumbelSoftmaxBackwardOp>});
}

}  // namespace roap
