#include "kernels/linear/linear_mma.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/linear/linear_reference.h"
#include "tests/cuda/cuda_test.h"
#include "tests/cuda/device_numbers.h"

// The tensor-core products of linear on whole numbers, where they are exact, in both tiles.

namespace roap {
namespace {

class LinearMma : public testing::TestWithParam<LinearDims> {
 protected:
  void SetUp() override { set_up_cuda(); }
  [[nodiscard]] std::int64_t x() const { return GetParam().rows * GetParam().in; }
  [[nodiscard]] std::int64_t w() const { return GetParam().out * GetParam().in; }
  [[nodiscard]] std::int64_t y() const { return GetParam().rows * GetParam().out; }
  static cuda::Stream stream() { return backend_of(DeviceKind::cuda).stream(); }
};

TEST_P(LinearMma, ForwardMatchesReference) {
  const std::vector<double> inputs = whole_numbers(x(), 1), weights = whole_numbers(w(), 2);
  const std::vector<double> bias = whole_numbers(GetParam().out, 3);
  std::vector<double> expected = zeros(y());
  const DeviceFloat device_x(inputs), device_w(weights), device_b(bias);
  DeviceFloat result(expected);
  cuda::linear_forward_mma(GetParam(), device_x.get(), device_w.get(), device_b.get(), result.get(), stream());
  reference::linear_forward(GetParam(), inputs.data(), weights.data(), bias.data(), expected.data());
  ASSERT_EQ(result.values(), expected);
}

TEST_P(LinearMma, BackwardDataIsAdded) {
  const std::vector<double> dy = whole_numbers(y(), 1), weights = whole_numbers(w(), 2);
  std::vector<double> expected = whole_numbers(x(), 3);
  const DeviceFloat device_dy(dy), device_w(weights);
  DeviceFloat result(expected);
  cuda::linear_backward_data_mma(GetParam(), device_dy.get(), device_w.get(), result.get(), true, stream());
  reference::linear_backward_data(GetParam(), dy.data(), weights.data(), expected.data(), true);
  ASSERT_EQ(result.values(), expected);
}

TEST_P(LinearMma, BackwardWeightMatchesReference) {
  const std::vector<double> dy = whole_numbers(y(), 1), inputs = whole_numbers(x(), 2);
  std::vector<double> expected = zeros(w());
  const DeviceFloat device_dy(dy), device_x(inputs);
  DeviceFloat result(expected);
  cuda::linear_backward_weight_mma(GetParam(), device_dy.get(), device_x.get(), result.get(), stream());
  double* no_bias = nullptr;
  reference::linear_backward_weight(GetParam(), dy.data(), inputs.data(), expected.data(), no_bias);
  ASSERT_EQ(result.values(), expected);
}

std::string dims_name(const testing::TestParamInfo<LinearDims>& info) {
  return fmt::format("rows{}_in{}_out{}", info.param.rows, info.param.in, info.param.out);
}

// The first are computed in tiles of 32, the others in tiles of 64 where the result is large.
INSTANTIATE_TEST_SUITE_P(Sizes, LinearMma,
                         testing::Values(LinearDims{1, 1, 1}, LinearDims{33, 129, 31}, LinearDims{31, 128, 36},
                                         LinearDims{700, 9, 739}, LinearDims{705, 68, 740}, LinearDims{66, 705, 769}),
                         dims_name);

TEST(LinearMmaRounding, OperandsAreRoundedToBf16) {
  set_up_cuda();
  constexpr double kTiny = 1.0 / (1 << 12);
  const DeviceFloat x({1 + kTiny}), w({3 - kTiny});
  DeviceFloat y(zeros(1));
  const auto stream = backend_of(DeviceKind::cuda).stream();
  cuda::linear_forward({1, 1, 1}, ProductMath::bf16, x.get(), w.get(), nullptr, y.get(), stream);
  EXPECT_EQ(y.values(), std::vector<double>{3});
  cuda::linear_forward({1, 1, 1}, ProductMath::f32, x.get(), w.get(), nullptr, y.get(), stream);
  EXPECT_NE(y.values(), std::vector<double>{3});
}

}  // namespace
}  // namespace roap
