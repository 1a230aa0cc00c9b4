#pragma once

#include <string>

#include "engine/graph.h"
#include "kernels/pair_batch/pair_batch.h"

namespace roap {

struct PairBatchParams {
  std::int64_t pairs = 1, symbols = 1;
};

/// Inputs key u32 [4], class_begin i32 [classes + 1], class_images i32 [images], tables f32 [T, classes^symbols];
/// outputs index i32 [pairs symbols], y f32 [T, pairs]. Has no gradient: pairs are data.
class PairBatchOp : public OpWith<PairBatchParams> {
 public:
  using OpWith::OpWith;
  [[nodiscard]] std::string_view type() const override { return "pair_batch"; }
  /// Sizes from the specs of the inputs.
  [[nodiscard]] PairBatchDims dims(const Specs& inputs) const;
  [[nodiscard]] Specs infer(const Specs& inputs) const override;
  void run_cpu(const RunContext& context) const override;
  [[nodiscard]] Work work(const Specs& inputs, const Specs& outputs) const override;
};

}  // namespace roap
