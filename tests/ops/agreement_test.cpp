#include "tests/ops/agreement.h"

#include <gtest/gtest.h>

namespace roap {
namespace {

using Tensors = std::vector<CaseRun::Tensor>;

Tensors tensors(double change = 0) {
  CaseRun::Tensor y{"y", f32({1000}), {}}, index{"index", i32({1000}), {}};
  for (int i = 0; i < 1000; ++i) {
    y.values.push_back(i * 0.01);
    index.values.push_back(i);
  }
  y.values[500] += change;
  return {y, index};
}

Agreement agree(const Tensors& got, double near_ties, const Tensors& f32 = tensors()) {
  OpCase op_case;
  op_case.near_ties = near_ties;
  return agreement_with_reference(op_case, DeviceKind::cpu, 1, got, f32, tensors());
}

TEST(Agreement, OneWrongValueIsFound) {
  EXPECT_EQ(agree(tensors(), 0).problem, "");
  EXPECT_EQ(agree(tensors(1e-6), 0).problem, "");
  EXPECT_NE(agree(tensors(1e-3), 0).problem.find("y[500]"), std::string::npos);
  Tensors index = tensors();
  index[1].values[7] = 8;
  EXPECT_NE(agree(index, 0).problem.find("index[7]"), std::string::npos);
  Tensors nan = tensors();
  nan[0].values[3] = std::nan("");
  EXPECT_NE(agree(nan, 0).problem, "");
  EXPECT_NE(agree(nan, 1e-3).problem, "");
}

TEST(Agreement, NearTiesAllowAFewOtherWinnersAndSmallNorms) {
  Tensors index = tensors();
  index[1].values[7] = 8;
  EXPECT_EQ(agree(index, 1e-3).problem, "");
  index[1].values[9] = 8;
  EXPECT_NE(agree(index, 1e-3).problem, "");
  EXPECT_EQ(agree(tensors(1e-2), 1e-3).problem, "");
  EXPECT_NE(agree(tensors(1), 1e-3).problem, "");
}

TEST(Agreement, WithNearTiesTheF32ReferencesOwnDifferencesAreTheUnit) {
  constexpr int kTimes = 4;
  Tensors f32 = tensors(1), got = tensors(kTimes);
  f32[1].values[0] = 5;
  for (int i = 0; i < kTimes + 1; ++i) got[1].values[static_cast<std::size_t>(i)] = -1;  // one more by near_ties
  EXPECT_EQ(agree(got, 1e-3, f32).problem, "");
  EXPECT_NE(agree(got, 1e-3).problem, "");
  got[1].values[static_cast<std::size_t>(kTimes + 1)] = -1;
  EXPECT_NE(agree(got, 1e-3, f32).problem.find("index"), std::string::npos);
  EXPECT_NE(agree(tensors(kTimes + 1.0), 1e-3, f32).problem.find("y"), std::string::npos);
}

}  // namespace
}  // namespace roap
