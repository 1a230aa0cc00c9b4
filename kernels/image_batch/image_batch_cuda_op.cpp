#include "engine/cuda/storage.h"
#include "kernels/image_batch/image_batch_op.h"

namespace roap {

namespace {

void run(const Op& op, const RunContext& c) {
  cuda::with_storage(c.out_dtype(0), [&]<class T>() {
    cuda::image_batch(image_batch_dims(c.out_shape(0)), static_cast<const ImageBatchOp&>(op).params(),
                      c.in<std::uint8_t>(0), c.in<std::int32_t>(1), c.in<std::uint32_t>(2), c.out<T>(0), c.stream());
  });
}

}  // namespace

void image_batch_register_cuda() { register_cuda("image_batch", {run}); }

}  // namespace roap
