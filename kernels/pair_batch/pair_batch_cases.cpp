#include "kernels/pair_batch/pair_batch_op.h"
#include "kernels/pair_batch/pair_batch_reference.h"
#include "tests/ops/op_case.h"

namespace roap {

namespace {

template <class Real>
void run(const Op& op, const RunContext& c) {
  reference::pair_batch(static_cast<const PairBatchOp&>(op).dims(c.input_specs()), c.in<std::uint32_t>(0),
                        c.in<std::int32_t>(1), c.in<std::int32_t>(2), c.in<Real>(3), c.out<std::int32_t>(0),
                        c.out<Real>(1));
}

/// Class k has 1 + (7 k) mod 5 images, numbered from behind.
OpCase pair_case(std::int64_t tasks, std::int64_t pairs, std::int64_t symbols, std::int64_t classes,
                 bool performance = false) {
  OpCase c;
  c.name = fmt::format("t{}_b{}_v{}_classes{}", tasks, pairs, symbols, classes);
  c.op = std::make_shared<PairBatchOp>(PairBatchParams{pairs, symbols});
  std::vector<double> begin{0}, images;
  for (std::int64_t k = 0; k < classes; ++k) begin.push_back(begin.back() + 1 + static_cast<double>(7 * k % 5));
  for (double i = begin.back(); i > 0; --i) images.push_back(i - 1);
  const auto count = static_cast<std::int64_t>(images.size());
  c.inputs = {CaseInput::list("key", u32({4}), {12345, 7, 2, 99}),
              CaseInput::list("class_begin", i32({classes + 1}), begin),
              CaseInput::list("class_images", i32({count}), images),
              CaseInput::normal("tables", {tasks, PairBatchDims{tasks, pairs, symbols, classes}.rows()}).constant()};
  c.check_gradient = false;
  c.performance = performance;
  return c;
}

}  // namespace

OperatorTests pair_batch_tests() {
  OperatorTests tests;
  tests.references = {{"pair_batch", ROAP_REFERENCE(run)}};
  tests.cases = {pair_case(1, 1, 1, 1),    pair_case(3, 7, 3, 10), pair_case(5, 33, 2, 3),
                 pair_case(67, 17, 1, 10), pair_case(2, 65, 5, 2), pair_case(500, 1024, 3, 10, true)};
  tests.no_gradient_reason = "pairs are data";
  return tests;
}

}  // namespace roap
