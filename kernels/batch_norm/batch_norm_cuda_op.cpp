#include "engine/cuda/state.h"
#include "engine/cuda/storage.h"
#include "kernels/batch_norm/batch_norm_op.h"

namespace roap {

namespace {

std::unique_ptr<OpState> state_for(const TensorSpec& x) {
  std::unique_ptr<OpState> state;
  cuda::with_storage(x.dtype, [&]<class T>() {
    const BatchNormDims dims = batch_norm_dims(x.shape);
    state = std::make_unique<cuda::CounterState>(cuda::batch_norm_workspace_bytes<T>(dims),
                                                 cuda::batch_norm_counters<T>(dims));
  });
  return state;
}

std::unique_ptr<OpState> prepare_forward(const Op& /*op*/, const Specs& inputs, const Specs& /*outputs*/) {
  return state_for(inputs[0]);
}

std::unique_ptr<OpState> prepare_backward(const Op& /*op*/, const Specs& inputs, const Specs& /*outputs*/) {
  return state_for(inputs[2]);
}

cuda::BatchNormScratch scratch_of(const RunContext& c) {
  return {c.workspace(), c.state<cuda::CounterState>().counters()};
}

void run_forward(const Op& op, const RunContext& c) {
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::batch_norm_forward(batch_norm_dims(c.in_shape(0)), static_cast<const BatchNormOp&>(op).params(), c.in<T>(0),
                             c.in<float>(1), c.in<float>(2), c.in<T>(3), c.out<T>(0), c.out<float>(1), c.out<float>(2),
                             scratch_of(c), c.stream());
  });
}

void run_eval(const Op& op, const RunContext& c) {
  cuda::with_storage(c.in_dtype(0), [&]<class T>() {
    cuda::batch_norm_eval(batch_norm_dims(c.in_shape(0)), static_cast<const BatchNormEvalOp&>(op).params(), c.in<T>(0),
                          c.in<float>(1), c.in<float>(2), c.in<float>(3), c.in<float>(4), c.in<T>(5), c.out<T>(0),
                          c.stream());
  });
}

void run_backward(const Op& op, const RunContext& c) {
  cuda::with_storage(c.in_dtype(2), [&]<class T>() {
    const cuda::BatchNormGradients<T> gradients{c.out<T>(0), c.out<float>(1), c.out<float>(2),
                                                c.out<T>(3), c.accumulate(0), c.accumulate(3)};
    cuda::batch_norm_backward(batch_norm_dims(c.in_shape(2)), static_cast<const BatchNormBackwardOp&>(op).params(),
                              c.in<T>(0), c.in<T>(1), c.in<T>(2), c.in<float>(3), c.in<float>(4), c.in<float>(5),
                              gradients, scratch_of(c), c.stream());
  });
}

void run_update(const Op& op, const RunContext& c) {
  const auto& update = static_cast<const BatchNormUpdateOp&>(op);
  std::vector<BatchNormRunning<float>> layers;
  for (std::size_t layer = 0; layer < update.params().counts.size(); ++layer) {
    layers.push_back(batch_norm_running<float>(update, c, layer));
  }
  cuda::batch_norm_update(update.params().momentum, c.in<float>(0), layers, c.stream());
}

}  // namespace

void batch_norm_register_cuda() {
  register_cuda("batch_norm", {run_forward, prepare_forward});
  register_cuda("batch_norm_backward", {run_backward, prepare_backward});
  register_cuda("batch_norm_eval", {run_eval});
  register_cuda("batch_norm_update", {run_update});
}

}  // namespace roap
