#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/point_mlp/point_mlp_op.h"
#include "tests/ops/run_case.h"

namespace roap {
namespace {

std::int64_t rows_computed(const OpCase& op_case) {
  CaseRun run(op_case, DeviceKind::cpu, {1, false, 0});
  run.run();
  const RunContext& context = run.executor().context(0);
  const auto& op = static_cast<const PointMlpOp&>(*op_case.op);
  return cpu::point_mlp_forward_rows(op.dims(context.input_specs()), context.workspace());
}

/// h and index of a case's forward pass.
std::vector<std::vector<double>> outputs_of(const OpCase& op_case) {
  CaseRun run(op_case, DeviceKind::cpu, {});
  run.run();
  std::vector<std::vector<double>> values;
  for (const CaseRun::Tensor& tensor : run.results()) values.push_back(tensor.values);
  values.resize(2);
  return values;
}

TEST(PointMlpSharing, ForwardIsTheSameBitsFromFewerRows) {
  int compared = 0;
  for (const NamedOperatorTests& folder : all_operator_tests()) {
    for (const OpCase& shared : folder.tests.cases) {
      const bool every_row = shared.name.find("every_row") != std::string::npos;
      if (folder.name != "point_mlp" || shared.performance || every_row || shared.op->type() != "point_mlp") continue;
      OpCase plain = shared;
      PointMlpParams params = static_cast<const PointMlpOp&>(*shared.op).params();
      params.options.share_rows = false;
      plain.op = std::make_shared<PointMlpOp>(params);
      EXPECT_EQ(outputs_of(shared), outputs_of(plain)) << shared.name;
      const Shape& y = shared.inputs[0].spec.shape;
      EXPECT_EQ(rows_computed(plain), y[0] * y[1] * static_cast<std::int64_t>(params.columns.size())) << shared.name;
      if (shared.name.ends_with("tasks34_pairs11_hidden17_features35_values5")) {
        EXPECT_LE(rows_computed(shared), 3 * 11 * 5);  // at most 5 values of y on each pair, in three groups
        ++compared;
      }
    }
  }
  EXPECT_EQ(compared, 1);
}

}  // namespace
}  // namespace roap
