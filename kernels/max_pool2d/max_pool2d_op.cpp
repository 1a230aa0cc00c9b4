#include "kernels/max_pool2d/max_pool2d_op.h"

#include <fmt/format.h>

#include "engine/autodiff.h"

namespace roap {

namespace {

Work pool_work(const MaxPool2dDims& d, DType dtype) {
  const double outputs = static_cast<double>(d.n * d.ho() * d.wo() * d.c);
  const double taps = static_cast<double>(d.params.kernel * d.params.kernel);
  const double element = storage_bytes({dtype, Shape{1}});
  return {outputs * taps, element * static_cast<double>(d.n * d.h * d.w * d.c) + (element + 1) * outputs};
}

}  // namespace

MaxPool2dDims MaxPool2dOp::dims(const Specs& inputs) const {
  expect_real_rank(type(), "x", inputs[0], 4);
  const Shape& x = inputs[0].shape;
  const MaxPool2dDims d{x[0], x[1], x[2], x[3], params()};
  constexpr std::int64_t kMaxKernel = 15;
  if (params().kernel < 1 || params().kernel > kMaxKernel || params().stride < 1 || params().padding < 0 ||
      2 * params().padding > params().kernel) {
    throw ShapeError(
        fmt::format("[max_pool2d] kernel {}, stride {}, padding {}: expected 1 <= kernel <= {}, stride >= 1 and "
                    "0 <= padding <= kernel / 2",
                    params().kernel, params().stride, params().padding, kMaxKernel));
  }
  if (d.h + 2 * params().padding < params().kernel || d.w + 2 * params().padding < params().kernel) {
    throw ShapeError(fmt::format("[max_pool2d] x {} with padding {} is smaller than the kernel {}", x.text(),
                                 params().padding, params().kernel));
  }
  return d;
}

Specs MaxPool2dOp::infer(const Specs& inputs) const {
  const MaxPool2dDims d = dims(inputs);
  const Shape y{d.n, d.ho(), d.wo(), d.c};
  return {{inputs[0].dtype, y}, u8(y)};
}

void MaxPool2dOp::gradient(GradientContext& g) const {
  if (!g.wants(0)) return;
  g.emit("backward", std::make_shared<MaxPool2dBackwardOp>(dims(g.input_specs())), {g.grad(0), g.output(1)}, {0});
}

void MaxPool2dOp::run_cpu(const RunContext& c) const {
  cpu::max_pool2d_forward(dims(c.input_specs()), c.in<float>(0), c.out<float>(0), c.out<std::uint8_t>(1));
}

Work MaxPool2dOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return pool_work(dims(inputs), inputs[0].dtype);
}

Specs MaxPool2dBackwardOp::infer(const Specs& inputs) const {
  const Shape y{dims_.n, dims_.ho(), dims_.wo(), dims_.c};
  expect_real_rank(type(), "dy", inputs[0], 4);
  expect_spec(type(), "dy", inputs[0], {inputs[0].dtype, y});
  expect_spec(type(), "winner", inputs[1], u8(y));
  return {{inputs[0].dtype, {dims_.n, dims_.h, dims_.w, dims_.c}}};
}

void MaxPool2dBackwardOp::run_cpu(const RunContext& c) const {
  cpu::max_pool2d_backward(dims_, c.in<float>(0), c.in<std::uint8_t>(1), c.out<float>(0), c.accumulate(0));
}

Work MaxPool2dBackwardOp::work(const Specs& inputs, const Specs& /*outputs*/) const {
  return pool_work(dims_, inputs[0].dtype);
}

TensorId max_pool2d(Graph& graph, const std::string& name, TensorId x, MaxPool2dParams params) {
  return graph.apply(name, std::make_shared<MaxPool2dOp>(params), {x})[0];
}

}  // namespace roap
