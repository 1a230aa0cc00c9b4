#include "kernels/pair_batch/pair_batch_op.h"

#include <fmt/format.h>

namespace roap {

PairBatchDims PairBatchOp::dims(const Specs& inputs) const {
  return {inputs[3].shape[0], params().pairs, params().symbols, inputs[1].shape[0] - 1};
}

Specs PairBatchOp::infer(const Specs& inputs) const {
  expect_spec(type(), "key", inputs[0], u32({4}));
  expect_rank(type(), "class_begin", inputs[1], DType::i32, 1);
  expect_rank(type(), "class_images", inputs[2], DType::i32, 1);
  expect_rank(type(), "tables", inputs[3], DType::f32, 2);
  const PairBatchDims d = dims(inputs);
  if (d.pairs < 1 || d.symbols < 1 || d.classes < 1) {
    throw ShapeError(fmt::format("[{}] pairs, symbols and classes: expected at least 1 each, got {}, {} and {}", type(),
                                 d.pairs, d.symbols, d.classes));
  }
  expect_extent(type(), "tables rows (classes^symbols)", inputs[3].shape[1], d.rows());
  return {i32({d.pairs * d.symbols}), f32({d.tasks, d.pairs})};
}

void PairBatchOp::run_cpu(const RunContext& c) const {
  cpu::pair_batch(dims(c.input_specs()), c.in<std::uint32_t>(0), c.in<std::int32_t>(1), c.in<std::int32_t>(2),
                  c.in<float>(3), c.out<std::int32_t>(0), c.out<float>(1));
}

Work PairBatchOp::work(const Specs& /*inputs*/, const Specs& outputs) const {
  return {0, 4 * static_cast<double>(2 * outputs[0].shape.count() + 2 * outputs[1].shape.count())};
}

}  // namespace roap
