#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/sizes.h"
#include "tests/cuda/cuda_test.h"
#include "tests/cuda/point_mlp_network.h"

// What the parity test does not ask of the tensor-core backward pass: the same bits in any order of threads, gradients
// that nobody wants, and tiles that one block computes after each other.

namespace roap {
namespace {

constexpr std::size_t kOutputs = 11;  // ds, then the weights in their order

/// Memory for whole numbers on the device.
class DeviceInts {
 public:
  explicit DeviceInts(const std::vector<std::int32_t>& values)
      : memory_(DeviceKind::cuda, values.size() * sizeof(std::int32_t)) {
    backend_of(DeviceKind::cuda).upload(memory_.data(), values.data(), memory_.size());
  }
  [[nodiscard]] std::int32_t* get() const { return reinterpret_cast<std::int32_t*>(memory_.data()); }

 private:
  DeviceBuffer memory_;
};

/// Winners of every set and feature: any pair.
std::vector<std::int32_t> some_index(const PointMlpDims& d) {
  std::vector<std::int32_t> index(static_cast<std::size_t>(d.tasks * d.groups * d.features));
  const RandomKey key = random_key(20, RandomStream::test, 0);
  for (std::size_t i = 0; i < index.size(); ++i) {
    index[i] = static_cast<std::int32_t>(bounded(philox(key, i).x[0], static_cast<std::uint32_t>(d.pairs)));
  }
  return index;
}

/// All gradients, those that are not wanted as they were before.
std::vector<std::vector<double>> gradients(const Network& n, const PointMlpOptions& options,
                                           const std::vector<bool>& wanted) {
  const DeviceNetwork on_device(n);
  const DeviceFloat dh(quarters(n.d.tasks * n.d.groups * n.d.features, 30));
  const DeviceInts index(some_index(n.d));
  std::vector<std::unique_ptr<DeviceFloat>> out;
  std::vector<float*> pointers;
  for (std::size_t i = 0; i < kOutputs; ++i) {
    const std::size_t count = i == 0 ? n.s.size() : n.weights[i - 1].size();
    out.push_back(std::make_unique<DeviceFloat>(std::vector<double>(count, 77)));
    pointers.push_back(wanted[i] ? out[i]->get() : nullptr);
  }
  const DeviceBuffer workspace(DeviceKind::cuda, cuda::point_mlp_backward_workspace(n.d, options));
  cuda::point_mlp_backward(n.d, options, on_device.inputs(), dh.get(), index.get(), pointers[0], false,
                           {pointers[1], pointers[2], pointers[3], pointers[4], pointers[5], pointers[6], pointers[7],
                            pointers[8], pointers[9], pointers[10]},
                           workspace.data(), backend_of(DeviceKind::cuda).stream());
  std::vector<std::vector<double>> values;
  for (const auto& of_output : out) values.push_back(of_output->values());
  return values;
}

/// Whether products are by warpgroups.
class PointMlpBackwardForms : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { set_up_cuda(); }
  static PointMlpOptions options() { return {.math = ProductMath::bf16, .warpgroups = GetParam()}; }
};

TEST_P(PointMlpBackwardForms, TheOrderOfThreadsMakesNoDifference) {
  const Network n(3, 70, 200, 40);
  const std::vector<bool> all(kOutputs, true);
  set_schedule(3);
  const auto expected = gradients(n, options(), all);
  for (const auto& of_output : expected) {
    for (const double x : of_output) ASSERT_TRUE(std::isfinite(x));
  }
  for (const int seed : {4, 5}) {
    set_schedule(seed);
    ASSERT_EQ(gradients(n, options(), all), expected) << seed;
  }
}

TEST_P(PointMlpBackwardForms, GradientsThatNobodyWantsAreSkipped) {
  const Network n(1, 30, 256, 20);
  const auto expected = gradients(n, options(), std::vector<bool>(kOutputs, true));
  for (const std::vector<std::size_t>& skipped :
       {std::vector<std::size_t>{0}, {1, 3}, {2, 4, 6}, {5, 7}, {8, 9}, {10}, {0, 1, 2, 3, 5, 9}}) {
    std::vector<bool> wanted(kOutputs, true);
    for (const std::size_t i : skipped) wanted[i] = false;
    const auto got = gradients(n, options(), wanted);
    for (std::size_t i = 0; i < kOutputs; ++i) {
      const std::vector<double> untouched(expected[i].size(), 77);
      ASSERT_EQ(got[i], wanted[i] ? expected[i] : untouched) << "output " << i << " without " << skipped[0];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Products, PointMlpBackwardForms, testing::Bool(),
                         [](const auto& form) { return form.param ? "by_warpgroups" : "by_warps"; });

/// What point_mlp_backward_rows_wgmma makes of a network with so many blocks.
struct Rows {
  std::size_t count = 0;
  std::vector<double> a1, xhat2, dz2, dx;  // of those rows
  std::vector<double> behind;              // dz2 up to the end of the last tile
  std::vector<double> vectors, scalars;    // sums of all parts

  Rows(const Network& n, int blocks) {
    const PointMlpDims& d = n.d;
    const DeviceNetwork on_device(n);
    const DeviceFloat dh(quarters(d.tasks * d.groups * d.features, 30));
    const DeviceInts index(some_index(d));
    const auto most = static_cast<std::size_t>(cuda::point_mlp_most_winners(d)), in = static_cast<std::size_t>(d.in);
    constexpr std::size_t kWidth = 256;
    const std::size_t of_part = (cuda::kPointMlpBf16Vectors + in + 1) * kWidth, scalars_of_part = (in + 1) * (in + 2);
    const std::vector<double> unwritten(most * kWidth, 77);
    DeviceBf16 device_a1(unwritten), device_xhat2(unwritten), device_dz2(unwritten);
    const auto parts = static_cast<std::size_t>(blocks);
    DeviceFloat device_vectors(std::vector<double>(parts * of_part, NAN));
    DeviceFloat device_scalars(std::vector<double>(2 * parts * scalars_of_part, NAN));
    DeviceFloat device_dx(std::vector<double>(most * (in - 1), NAN));

    cuda::PointMlpRows rows{};
    cuda::PointMlpBf16Weights weights{};
    cuda::PointMlpWinners winners{};
    const auto lay_out = [&](std::byte* base) {
      WorkspaceCutter workspace(base);
      rows = cuda::take_point_mlp_rows(d, on_device.inputs(), workspace);
      weights = cuda::take_point_mlp_bf16_weights(d, true, workspace);
      winners = cuda::take_point_mlp_winners(d, workspace);
      return workspace.bytes();
    };
    const DeviceBuffer workspace(DeviceKind::cuda, lay_out(nullptr));
    lay_out(workspace.data());
    weights.by_place = true;
    const auto stream = backend_of(DeviceKind::cuda).stream();
    cuda::copy_point_mlp_columns(rows, n.columns.data(), stream);
    cuda::pack_point_mlp_bf16(d, on_device.inputs().w, true, weights, stream);
    cuda::find_point_mlp_winners(rows, dh.get(), index.get(), winners, stream);
    cuda::point_mlp_backward_rows_wgmma(d, weights, winners, {device_a1.get(), device_xhat2.get(), device_dz2.get()},
                                        {device_vectors.get(), device_scalars.get(), device_dx.get(), nullptr}, blocks,
                                        stream);

    std::int32_t found = 0;
    backend_of(DeviceKind::cuda).download(&found, winners.rows, sizeof(found));
    count = static_cast<std::size_t>(found);
    const auto first_rows = [this](std::vector<double> values, std::size_t width) {
      values.resize(count * width);
      return values;
    };
    a1 = first_rows(device_a1.values(), kWidth);
    xhat2 = first_rows(device_xhat2.values(), kWidth);
    const std::vector<double> all_dz2 = device_dz2.values();
    dz2 = first_rows(all_dz2, kWidth);
    const std::size_t end = std::min((count + 63) / 64 * 64, most) * kWidth;
    behind.assign(all_dz2.begin() + static_cast<std::ptrdiff_t>(dz2.size()),
                  all_dz2.begin() + static_cast<std::ptrdiff_t>(end));
    dx = first_rows(device_dx.values(), in - 1);
    const auto sums_of = [](const std::vector<double>& values, std::size_t columns) {
      std::vector<double> sums(columns);
      for (std::size_t i = 0; i < values.size(); ++i) sums[i % columns] += values[i];
      return sums;
    };
    vectors = sums_of(device_vectors.values(), of_part);
    scalars = sums_of(device_scalars.values(), scalars_of_part);
  }
};

void expect_near(const std::vector<double>& got, const std::vector<double>& expected) {
  double largest = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  ASSERT_GT(largest, 0);
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5 * largest) << i;
}

TEST(PointMlpBackwardRows, DoNotDependOnTheNumberOfBlocks) {
  set_up_cuda();
  for (const std::int64_t in : {1, 3, 4, 6, 7}) {
    const Network n(9, 150, 200, 90, in);
    if (!cuda::point_mlp_uses_wgmma(n.d, {ProductMath::bf16})) GTEST_SKIP() << "not sm_90a";
    set_schedule(static_cast<int>(in));
    const Rows expected(n, cuda::point_mlp_backward_wgmma_blocks(n.d));
    ASSERT_GT(expected.count, 1024U) << "one cluster is to need four rounds and more";
    const Rows got(n, 2);
    ASSERT_EQ(got.a1, expected.a1) << in;
    ASSERT_EQ(got.xhat2, expected.xhat2) << in;
    ASSERT_EQ(got.dz2, expected.dz2) << in;
    ASSERT_EQ(got.dx, expected.dx) << in;
    ASSERT_EQ(got.behind, std::vector<double>(got.behind.size())) << in;
    expect_near(got.vectors, expected.vectors);
    expect_near(got.scalars, expected.scalars);
  }
}

}  // namespace
}  // namespace roap
