#include "kernels/image_batch/image_batch_op.h"
#include "kernels/image_batch/image_batch_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run_forward(const Op& op, const RunContext& c) {
  reference::image_batch(image_batch_dims(c.out_shape(0)), static_cast<const ImageBatchOp&>(op).params(),
                         c.in<std::uint8_t>(0), c.in<std::int32_t>(1), c.in<std::uint32_t>(2), c.out<Real>(0));
}

OpCase batch_case(std::int64_t n, const Shape& images, bool flip, std::int64_t max_shift, DType dtype = DType::f32,
                  bool performance = false) {
  OpCase c;
  c.name = fmt::format("n{}_of{}_{}x{}x{}{}_shift{}{}", n, images[0], images[1], images[2], images[3],
                       flip ? "_flip" : "", max_shift, dtype == DType::bf16 ? "_bf16" : "");
  ImageBatchParams params;
  params.scale = {0.0078125f, 0.017f, 1.0f / 255};
  params.shift = {-1.0f, 0.25f, -0.5f};
  params.flip = flip;
  params.max_shift = max_shift;
  c.op = std::make_shared<ImageBatchOp>(params, dtype);
  c.inputs = {CaseInput::integers("images", u8(images), 0, 255),
              CaseInput::integers("index", i32({n}), 0, static_cast<double>(images[0] - 1)),
              params.augments() ? CaseInput::integers("key", u32({4}), 0, 1e6) : CaseInput::absent()};
  c.check_gradient = false;
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests image_batch_tests() {
  OperatorTests tests;
  tests.references = {{"image_batch", ROAP_REFERENCE(run_forward)}};
  tests.no_gradient_reason = "images are data";
  tests.cases = {batch_case(1, {1, 1, 1, 1}, false, 0),
                 batch_case(7, {3, 9, 7, 3}, false, 0),
                 batch_case(17, {5, 8, 8, 1}, true, 0),
                 batch_case(9, {4, 5, 5, 3}, false, 2),
                 batch_case(33, {6, 9, 7, 2}, true, 3),
                 batch_case(20, {3, 2, 2, 3}, true, 4),  // shifted out of sight
                 batch_case(7, {3, 9, 7, 3}, false, 0, DType::bf16),
                 batch_case(17, {5, 8, 8, 1}, false, 0, DType::bf16),
                 batch_case(33, {6, 9, 8, 3}, true, 3, DType::bf16),
                 batch_case(192, {1000, 32, 32, 3}, true, 4, DType::f32, true)};
  return tests;
}

}  // namespace roap
