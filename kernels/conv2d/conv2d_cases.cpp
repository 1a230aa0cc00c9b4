#include "kernels/batch_norm/batch_norm_reference.h"
#include "kernels/conv2d/conv2d_op.h"
#include "kernels/conv2d/conv2d_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  const Conv2dDims d = static_cast<const Conv2dOp&>(op).dims(c.input_specs());
  reference::conv2d_forward(d, c.in<Real>(0), c.in<Real>(1), c.out<Real>(0));
  if (!static_cast<const Conv2dOp&>(op).moments()) return;
  reference::batch_norm_statistics({d.output_rows(), d.co}, c.out<Real>(0), c.out<Real>(1), c.out<Real>(2));
}

template <class Real>
void run_backward_data(const Op& op, const RunContext& c) {
  const Conv2dDims& d = static_cast<const Conv2dBackwardDataOp&>(op).dims();
  reference::conv2d_backward_data(d, c.in<Real>(0), c.in<Real>(1), c.out<Real>(0), c.accumulate(0));
}

template <class Real>
void run_backward_weight(const Op& op, const RunContext& c) {
  const auto& weights = static_cast<const Conv2dBackwardWeightOp&>(op);
  for (std::size_t i = 0; i < static_cast<std::size_t>(weights.members()); ++i) {
    reference::conv2d_backward_weight(weights.dims(), c.in<Real>(2 * i), c.in<Real>(2 * i + 1), c.out<Real>(i));
  }
}

Shape w_shape(const Conv2dDims& d) {
  const TapWindow taps = stored_window(d);
  return {d.co, taps.rows, taps.columns, d.ci};
}

OpCase conv2d_case(const Conv2dDims& d, bool performance = false) {
  OpCase c;
  c.name = fmt::format("n{}_{}x{}x{}_to{}_k{}x{}_s{}_p{}", d.n, d.h, d.w, d.ci, d.co, d.kh, d.kw, d.stride, d.padding);
  c.op = std::make_shared<Conv2dOp>(Conv2dParams{d.stride, d.padding, d.live_taps_only ? d.kh : 0});
  c.inputs = {CaseInput::normal("x", {d.n, d.h, d.w, d.ci}), CaseInput::normal("w", w_shape(d), 0, 0.3)};
  if (d.live_taps_only) c.name += "_live";
  c.performance = performance;
  return c;
}

/// x in bf16. The device rounds weights to bf16, so they are numbers that this does not change.
OpCase bf16_case(const Conv2dDims& d) {
  OpCase c = conv2d_case(d);
  c.name += "_bf16";
  c.inputs = {CaseInput::normal("x", {d.n, d.h, d.w, d.ci}).in_bf16(),
              CaseInput::integers("w", f32(w_shape(d)), -9, 9)};
  return c;
}

/// Weight gradients of several convolutions.
OpCase weights_case(const Conv2dDims& d, int members, bool bf16) {
  OpCase c = conv2d_case(d);
  c.name += fmt::format("_weights_of_{}{}", members, bf16 ? "_bf16" : "");
  c.op = std::make_shared<Conv2dBackwardWeightOp>(d, members);
  c.inputs.clear();
  const auto add = [&](const std::string& name, const Shape& shape) {
    CaseInput input = CaseInput::normal(name, shape).constant();
    c.inputs.push_back(bf16 ? std::move(input).in_bf16() : std::move(input));
  };
  for (int i = 0; i < members; ++i) {
    add("dy", {d.n, d.ho(), d.wo(), d.co});
    add("x", {d.n, d.h, d.w, d.ci});
  }
  c.check_gradient = false;
  return c;
}

/// y and its moments. Small whole numbers, so that y is the same in bf16 and moments are those of the reference.
OpCase moments_case(const Conv2dDims& d, bool bf16 = true) {
  OpCase c = conv2d_case(d);
  c.name += bf16 ? "_moments_bf16" : "_moments";
  c.op = std::make_shared<Conv2dOp>(Conv2dParams{d.stride, d.padding}, true);
  c.inputs = {CaseInput::integers("x", f32({d.n, d.h, d.w, d.ci}), -1, 2),
              CaseInput::integers("w", f32(w_shape(d)), -1, 1)};
  if (bf16) c.inputs[0] = std::move(c.inputs[0]).in_bf16();
  return c;
}

}  // namespace

OperatorTests conv2d_tests() {
  OperatorTests tests;
  tests.references = {{"conv2d", ROAP_REFERENCE(run_forward)},
                      {"conv2d_backward_data", ROAP_REFERENCE(run_backward_data)},
                      {"conv2d_backward_weight", ROAP_REFERENCE(run_backward_weight)}};
  //               n  h  w  ci  co  kh kw s  p
  tests.cases = {conv2d_case({1, 1, 1, 1, 1, 1, 1, 1, 0}),
                 conv2d_case({3, 8, 8, 1, 16, 7, 7, 2, 3}),  // digits, ImageNet stem
                 conv2d_case({2, 9, 7, 3, 16, 7, 7, 2, 3}),  // odd map, few channels
                 conv2d_case({5, 8, 8, 3, 17, 3, 3, 1, 1}),  // CIFAR stem, odd channels
                 conv2d_case({3, 9, 7, 17, 5, 3, 3, 2, 1}),  // batch that is no multiple of the chunks
                 conv2d_case({4, 5, 5, 16, 16, 3, 3, 1, 1}),
                 conv2d_case({2, 5, 5, 16, 17, 1, 1, 2, 0}),  // downsampling, odd map
                 conv2d_case({3, 8, 8, 16, 33, 1, 1, 2, 0}),  // the last row and column feed nothing
                 conv2d_case({7, 2, 2, 17, 16, 3, 3, 1, 1}),
                 conv2d_case({5, 2, 2, 16, 64, 3, 3, 2, 1}),  // 2x2 to 1x1: 4 live taps of 9
                 conv2d_case({5, 2, 2, 16, 64, 1, 1, 2, 0}),
                 conv2d_case({6, 1, 1, 64, 65, 3, 3, 1, 1}),        // the centre tap alone
                 conv2d_case({3, 1, 5, 3, 4, 3, 3, 1, 1}),          // one live row of taps
                 conv2d_case({6, 1, 1, 64, 65, 3, 3, 1, 1, true}),  // the same, where w has no other taps
                 conv2d_case({5, 2, 2, 16, 64, 3, 3, 2, 1, true}),
                 conv2d_case({3, 1, 5, 3, 4, 3, 3, 1, 1, true}),
                 conv2d_case({2, 3, 3, 3, 5, 7, 7, 2, 3, true}),  // 5 of 7 rows and columns
                 conv2d_case({2, 2, 3, 2, 3, 5, 7, 3, 4}),        // a gap between live taps
                 conv2d_case({2, 3, 9, 4, 6, 2, 5, 2, 1}),        // kernel not square
                 conv2d_case({61, 8, 8, 32, 32, 3, 3, 1, 1}),     // several chunks of two sizes
                 conv2d_case({300, 4, 4, 32, 17, 3, 3, 2, 1}),    // several blocks of images at each position
                 conv2d_case({192, 32, 32, 3, 64, 7, 7, 2, 3}, true),
                 conv2d_case({192, 8, 8, 64, 64, 3, 3, 1, 1}, true),
                 conv2d_case({192, 4, 4, 128, 128, 3, 3, 1, 1}, true),
                 conv2d_case({192, 2, 2, 256, 256, 3, 3, 1, 1}, true),
                 conv2d_case({192, 1, 1, 512, 512, 3, 3, 1, 1, true}, true),
                 bf16_case({1, 1, 1, 1, 1, 1, 1, 1, 0}),
                 bf16_case({3, 8, 8, 1, 16, 7, 7, 2, 3}),
                 bf16_case({2, 9, 7, 3, 17, 7, 7, 2, 3}),
                 bf16_case({5, 8, 8, 3, 17, 3, 3, 1, 1}),
                 bf16_case({3, 9, 7, 17, 5, 3, 3, 2, 1}),
                 bf16_case({2, 3, 9, 4, 6, 2, 5, 2, 1}),
                 bf16_case({2, 2, 3, 2, 3, 5, 7, 3, 4}),
                 bf16_case({3, 4, 4, 72, 40, 3, 3, 1, 1}),  // a second chunk of channels, a little of it
                 bf16_case({2, 5, 5, 16, 24, 1, 1, 2, 0}),  // positions that no tap reaches
                 bf16_case({2, 6, 7, 16, 8, 5, 3, 1, 1}),   // more taps than a block holds at a time
                 bf16_case({7, 2, 2, 17, 16, 3, 3, 1, 1}),
                 bf16_case({6, 1, 1, 64, 65, 3, 3, 1, 1}),
                 bf16_case({6, 1, 1, 64, 65, 3, 3, 1, 1, true}),
                 bf16_case({5, 2, 2, 16, 64, 3, 3, 2, 1, true}),
                 bf16_case({2, 3, 3, 3, 17, 7, 7, 2, 3, true}),
                 bf16_case({17, 8, 8, 64, 64, 3, 3, 1, 1}),  // the layers of ResNet-18 on 32 x 32 images
                 bf16_case({3, 8, 8, 64, 128, 3, 3, 2, 1}),
                 bf16_case({3, 8, 8, 64, 128, 1, 1, 2, 0}),
                 bf16_case({3, 4, 4, 128, 128, 3, 3, 1, 1}),
                 bf16_case({3, 4, 4, 128, 256, 3, 3, 2, 1}),
                 bf16_case({3, 2, 2, 256, 256, 3, 3, 1, 1}),
                 bf16_case({3, 2, 2, 256, 512, 3, 3, 2, 1}),
                 bf16_case({19, 1, 1, 512, 512, 3, 3, 1, 1}),
                 bf16_case({1100, 1, 1, 64, 512, 1, 1, 1, 0}),  // large enough for warpgroups, forward
                 bf16_case({1100, 1, 1, 512, 64, 1, 1, 1, 0}),  // and backward
                 bf16_case({2, 32, 32, 3, 64, 7, 7, 2, 3}),
                 weights_case({3, 5, 4, 8, 17, 3, 3, 1, 1}, 2, false),
                 weights_case({3, 5, 4, 8, 17, 3, 3, 1, 1}, 3, true),
                 weights_case({7, 4, 4, 128, 128, 3, 3, 1, 1}, 2, true),
                 weights_case({70, 1, 1, 256, 384, 3, 3, 1, 1, true}, 4, true),
                 moments_case({5, 7, 7, 5, 17, 3, 3, 2, 1}, false),
                 moments_case({2, 9, 7, 3, 17, 7, 7, 2, 3}),  // few channels
                 moments_case({40, 8, 8, 3, 72, 3, 3, 1, 1}),
                 moments_case({1, 1, 1, 8, 1, 1, 1, 1, 0}),  // one value
                 moments_case({3, 5, 5, 17, 24, 3, 3, 1, 1}),
                 moments_case({35, 5, 6, 16, 136, 3, 3, 2, 1}),
                 moments_case({270, 2, 2, 24, 40, 3, 3, 1, 1}),
                 moments_case({1100, 1, 1, 64, 512, 1, 1, 1, 0})};  // warpgroups
  return tests;
}

}  // namespace roap
