#include <gtest/gtest.h>

#include <set>

#include "kernels/point_mlp/point_mlp_op.h"
#include "tests/cuda/cuda_test.h"
#include "tests/ops/run_case.h"

// Networks without symbols compute each distinct value of y once. The maxima and their winners must be those of the
// same kernels on every row.

namespace roap {
namespace {

struct Outputs {
  std::vector<double> h, index;
  std::int32_t values = 0;  ///< that the device counted
  bool operator==(const Outputs& other) const { return h == other.h && index == other.index; }
};

Outputs run_forward(const OpCase& base, const PointMlpOptions& options) {
  OpCase op_case = base;
  op_case.op = std::make_shared<PointMlpOp>(PointMlpParams{{{}}, options});
  for (CaseInput& input : op_case.inputs) input.differentiable = false;
  op_case.compared_outputs = {0, 1};
  CaseRun run(op_case, DeviceKind::cuda, {1, true, 64});
  run.run();
  EXPECT_TRUE(run.damaged_guards().empty());
  const std::vector<CaseRun::Tensor> results = run.results();
  Outputs out{results[0].values, results[1].values, 0};
  const RunContext& context = run.executor().context(0);
  const auto& op = static_cast<const PointMlpOp&>(*op_case.op);
  const std::int32_t* count =
      cuda::point_mlp_forward_rows(op.dims(context.input_specs()), options, context.workspace());
  EXPECT_EQ(count != nullptr, options.share_rows);
  if (count != nullptr) backend_of(DeviceKind::cuda).download(&out.values, count, sizeof(out.values));
  return out;
}

/// The case of those sizes with y of its own.
OpCase case_with(std::int64_t tasks, std::int64_t pairs, std::int64_t hidden, std::int64_t features,
                 std::vector<double> y) {
  const auto weights = [&](const char* name, Shape shape) { return CaseInput::normal(name, shape, 0, 0.5); };
  OpCase c;
  c.inputs = {CaseInput::list("y", f32({tasks, pairs}), std::move(y)),
              CaseInput::absent(),
              weights("w0", {hidden, 1}),
              weights("b0", {hidden}),
              weights("gamma1", {hidden}),
              weights("beta1", {hidden}),
              weights("w3", {hidden, hidden}),
              weights("b3", {hidden}),
              weights("gamma4", {hidden}),
              weights("beta4", {hidden}),
              weights("w6", {features, hidden}),
              weights("b6", {features})};
  c.check_gradient = false;
  return c;
}

/// tasks * pairs numbers, `values` of them distinct.
std::vector<double> y_of(std::int64_t count, std::int64_t values) {
  std::vector<double> y(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = static_cast<double>(i * 7919 % static_cast<std::size_t>(values)) / 8 - 3;
  }
  return y;
}

struct Sizes {
  std::int64_t tasks, pairs, hidden, features, values;
};

class PointMlpValues : public testing::TestWithParam<std::tuple<Sizes, ProductMath, int>> {
 protected:
  void SetUp() override {
    set_up_cuda();
    set_schedule(std::get<2>(GetParam()));
  }
};

TEST_P(PointMlpValues, SharedRowsGiveTheBitsOfAllRows) {
  const auto& [sizes, math, seed] = GetParam();
  const auto& [tasks, pairs, hidden, features, values] = sizes;
  const OpCase c = case_with(tasks, pairs, hidden, features, y_of(tasks * pairs, values));
  const PointMlpOptions shared{.math = math, .warpgroups = false};
  PointMlpOptions plain = shared, too_few = shared, just_enough = shared;
  plain.share_rows = false;
  just_enough.most_shared_rows = static_cast<std::int32_t>(values);
  too_few.most_shared_rows = static_cast<std::int32_t>(values) - 1;
  const Outputs expected = run_forward(c, plain);
  for (const PointMlpOptions& options : {shared, just_enough}) {
    const Outputs got = run_forward(c, options);
    EXPECT_EQ(got, expected);
    EXPECT_EQ(got.values, values);
  }
  if (values == 1) return;
  const Outputs fallen_back = run_forward(c, too_few);
  EXPECT_EQ(fallen_back, expected);
  EXPECT_GT(fallen_back.values, too_few.most_shared_rows);
}

INSTANTIATE_TEST_SUITE_P(Sizes, PointMlpValues,
                         testing::Combine(testing::Values(Sizes{1, 1, 16, 5, 1},        // one cell
                                                          Sizes{3, 37, 17, 33, 1},      // all equal
                                                          Sizes{2, 300, 33, 259, 41},   // two turns of 256 pairs
                                                          Sizes{13, 11, 64, 65, 143},   // all distinct, tiles of rows
                                                          Sizes{70, 3, 250, 256, 67}),  // the widest code
                                          testing::Values(ProductMath::f32, ProductMath::bf16), testing::Values(1, 2)));

// Zeros of both signs are two values with the same maxima; a NaN never wins, whatever its bits are.
TEST(PointMlpSpecialValues, AreValuesLikeOthers) {
  set_up_cuda();
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const OpCase c = case_with(2, 6, 19, 7, {0.0, -0.0, nan, 1, -nan, 0, nan, nan, -nan, nan, nan, infinity});
  const Outputs expected = run_forward(c, {.share_rows = false});
  const Outputs got = run_forward(c, {});
  for (std::size_t i = 0; i < expected.h.size(); ++i) {
    EXPECT_TRUE(got.h[i] == expected.h[i] || (std::isnan(got.h[i]) && std::isnan(expected.h[i]))) << i;
  }
  EXPECT_EQ(got.index, expected.index);
}

}  // namespace
}  // namespace roap
