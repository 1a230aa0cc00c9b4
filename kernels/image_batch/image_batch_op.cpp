#include "kernels/image_batch/image_batch_op.h"

#include <fmt/format.h>

namespace roap {

ImageBatchDims image_batch_dims(const Shape& y) { return {y[0], y[1], y[2], y[3]}; }

Specs ImageBatchOp::infer(const Specs& inputs) const {
  expect_rank(type(), "images", inputs[0], DType::u8, 4);
  expect_rank(type(), "index", inputs[1], DType::i32, 1);
  const Shape& images = inputs[0].shape;
  if (images[3] < 1 || images[3] > ImageBatchParams::kMaxChannels) {
    throw ShapeError(fmt::format("[image_batch] channels of images {}: expected 1 to {}, got {}", images.text(),
                                 ImageBatchParams::kMaxChannels, images[3]));
  }
  if (params().max_shift < 0) {
    throw ShapeError(fmt::format("[image_batch] max_shift: expected >= 0, got {}", params().max_shift));
  }
  if (params().augments()) expect_spec(type(), "key", inputs[2], u32({4}));
  return {{dtype_, {inputs[1].shape[0], images[1], images[2], images[3]}}};
}

void ImageBatchOp::run_cpu(const RunContext& c) const {
  cpu::image_batch(image_batch_dims(c.out_shape(0)), params(), c.in<std::uint8_t>(0), c.in<std::int32_t>(1),
                   c.in<std::uint32_t>(2), c.out<float>(0));
}

Work ImageBatchOp::work(const Specs& /*inputs*/, const Specs& outputs) const {
  const auto elements = static_cast<double>(outputs[0].shape.count());
  return {2 * elements, elements + storage_bytes(outputs[0])};
}

TensorId image_batch(Graph& graph, const std::string& name, TensorId images, TensorId index, TensorId key,
                     const ImageBatchParams& params, DType dtype) {
  return graph.apply(name, std::make_shared<ImageBatchOp>(params, dtype), {images, index, key})[0];
}

}  // namespace roap
