#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/image_batch/image_batch.h"

namespace roap {

/// Inputs images u8 [N, h, w, c] (c <= 3), index i32 [n] with values in [0, N), key u32 [4] (the words of a RandomKey;
/// absent without augmentation); output y [n, h, w, c], f32 or bf16. Has no gradient: images are data.
class ImageBatchOp : public OpWith<ImageBatchParams> {
 public:
  explicit ImageBatchOp(const ImageBatchParams& params, DType dtype = DType::f32) : OpWith(params), dtype_(dtype) {}
  [[nodiscard]] std::string_view type() const override { return "image_batch"; }
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;

 private:
  DType dtype_;
};

/// Sizes of y [n, h, w, c].
ImageBatchDims image_batch_dims(const Shape& y);

/// Appends the gathering; `key` is absent without augmentation, `dtype` is that of y.
TensorId image_batch(Graph& graph, const std::string& name, TensorId images, TensorId index, TensorId key,
                     const ImageBatchParams& params, DType dtype = DType::f32);

}  // namespace roap
