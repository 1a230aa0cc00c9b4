#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/point_mlp/point_mlp_reference.h"
#include "tests/cuda/cuda_test.h"
#include "tests/cuda/point_mlp_network.h"

// Winners as every form of the tensor-core forward pass finds them: the parity test does not compare them, because a
// near tie may have another one.

namespace roap {
namespace {

struct Winners {
  std::vector<double> h;
  std::vector<std::int32_t> index;
};

/// Memory for the winners of some pieces.
class DeviceWinners {
 public:
  explicit DeviceWinners(const Network& n, int pieces = 1)
      : count_(pieces * n.d.tasks * n.d.groups * n.d.features),
        h_(zeros(count_)),
        index_(DeviceKind::cuda, static_cast<std::size_t>(count_) * sizeof(std::int32_t)) {}
  [[nodiscard]] float* h() const { return h_.get(); }
  [[nodiscard]] std::int32_t* index() const { return reinterpret_cast<std::int32_t*>(index_.data()); }
  [[nodiscard]] Winners read() {
    Winners winners{h_.values(), std::vector<std::int32_t>(static_cast<std::size_t>(count_))};
    backend_of(DeviceKind::cuda).download(winners.index.data(), index_.data(), index_.size());
    return winners;
  }

 private:
  std::int64_t count_;
  DeviceFloat h_;
  DeviceBuffer index_;
};

Winners run(const Network& n, const PointMlpOptions& options) {
  const DeviceNetwork on_device(n);
  DeviceWinners out(n);
  const DeviceBuffer workspace(DeviceKind::cuda, cuda::point_mlp_forward_workspace(n.d, options));
  cuda::point_mlp_forward(n.d, options, on_device.inputs(), out.h(), out.index(), workspace.data(),
                          backend_of(DeviceKind::cuda).stream());
  return out.read();
}

/// Whether products are by warpgroups.
class PointMlpForms : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    set_up_cuda();
    set_schedule(3);
  }
  static PointMlpOptions options() { return {.math = ProductMath::bf16, .warpgroups = GetParam()}; }
};

TEST_P(PointMlpForms, TheWinnersValueIsTheMaximum) {
  const Network n(3, 70, 200, 259);
  const Winners got = run(n, options());
  const auto in =
      n.inputs<double>(n.y.data(), n.s.data(), [&](int i) { return n.weights[static_cast<std::size_t>(i)].data(); });
  std::vector<std::vector<double>> z3;
  for (std::int64_t set = 0; set < n.d.tasks * n.d.groups; ++set) {
    z3.clear();
    for (std::int64_t i = 0; i < n.d.pairs; ++i) {
      z3.push_back(reference::point_mlp_row(n.d, in, set / n.d.groups, set % n.d.groups, i).z3);
    }
    for (std::size_t f = 0; f < static_cast<std::size_t>(n.d.features); ++f) {
      double most = -INFINITY, least = INFINITY;
      for (const std::vector<double>& of_pair : z3) {
        most = std::max(most, of_pair[f]);
        least = std::min(least, of_pair[f]);
      }
      const std::size_t at = static_cast<std::size_t>(set * n.d.features) + f;
      const double tolerance = 0.02 * std::max(std::abs(most), std::abs(least));
      ASSERT_LT(tolerance, (most - least) / 8) << "another pair could be meant";
      ASSERT_NEAR(got.h[at], most, tolerance) << "set " << set << ", feature " << f;
      ASSERT_LT(static_cast<std::size_t>(got.index[at]), z3.size());
      ASSERT_NEAR(z3[static_cast<std::size_t>(got.index[at])][f], most, tolerance)
          << "set " << set << ", feature " << f;
    }
  }
}

TEST_P(PointMlpForms, TheFirstOfEqualPairsWins) {
  Network n(2, 140, 256, 40);
  constexpr std::size_t kPeriod = 21;
  for (std::size_t i = kPeriod; i < 140; ++i) {
    for (std::size_t t = 0; t < 2; ++t) n.y[t * 140 + i] = n.y[t * 140 + i - kPeriod];
    for (std::size_t j = 0; j < 3; ++j) n.s[3 * i + j] = n.s[3 * (i - kPeriod) + j];
  }
  for (const std::int32_t winner : run(n, options()).index) ASSERT_LT(winner, static_cast<std::int32_t>(kPeriod));
}

TEST_P(PointMlpForms, NaNNeverWinsUnlessItIsAlone) {
  Network n(2, 66, 256, 40);
  for (std::size_t i = 0; i < 66; ++i) {
    if (i != 3) n.y[i] = NAN;  // of the first task only one pair is left
    if (i % 2 == 0) n.y[66 + i] = NAN;
  }
  Winners got = run(n, options());
  const std::size_t of_task = got.h.size() / 2;
  for (std::size_t i = 0; i < got.h.size(); ++i) {
    ASSERT_FALSE(std::isnan(got.h[i])) << i;
    ASSERT_TRUE(i < of_task ? got.index[i] == 3 : got.index[i] % 2 == 1) << i;
  }
  n.y[3] = NAN;
  got = run(n, options());
  for (std::size_t i = 0; i < of_task; ++i) {
    ASSERT_TRUE(std::isnan(got.h[i])) << i;
    ASSERT_EQ(got.index[i], 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Products, PointMlpForms, testing::Bool(),
                         [](const auto& form) { return form.param ? "by_warpgroups" : "by_warps"; });

TEST(PointMlpPieces, WinnersDoNotDependOnThem) {
  set_up_cuda();
  const Network n(3, 150, 256, 40);
  const PointMlpOptions options{ProductMath::bf16};
  if (!cuda::point_mlp_uses_wgmma(n.d, options)) GTEST_SKIP() << "not sm_90a";
  const Winners expected = run(n, options);  // as many pieces as tiles
  const DeviceNetwork on_device(n);
  const auto stream = backend_of(DeviceKind::cuda).stream();
  cuda::PointMlpRows rows{};
  cuda::PointMlpBf16Weights weights{};
  const auto lay_out = [&](std::byte* base) {
    WorkspaceCutter workspace(base);
    rows = cuda::take_point_mlp_rows(n.d, on_device.inputs(), workspace);
    weights = cuda::take_point_mlp_bf16_weights(n.d, false, workspace);
    return workspace.bytes();
  };
  const DeviceBuffer workspace(DeviceKind::cuda, lay_out(nullptr));
  lay_out(workspace.data());
  cuda::copy_point_mlp_columns(rows, n.columns.data(), stream);
  cuda::pack_point_mlp_bf16(n.d, on_device.inputs().w, false, weights, stream);
  for (const int pieces : {1, 2}) {
    DeviceWinners out(n, pieces);
    cuda::point_mlp_maxima_wgmma(rows, weights, {pieces, out.h(), out.index()}, stream);
    const Winners got = out.read();
    for (std::size_t i = 0; i < expected.h.size(); ++i) {
      std::size_t best = i;
      for (std::size_t at = i; at < got.h.size(); at += expected.h.size()) {
        if (got.h[at] > got.h[best]) best = at;
      }
      ASSERT_EQ(got.h[best], expected.h[i]) << pieces << " pieces, " << i;
      ASSERT_EQ(got.index[best], expected.index[i]) << pieces << " pieces, " << i;
    }
  }
}

// The number of rows is known to the device alone; those behind the last one are not all zero.
TEST(PointMlpWeightGradient, IsTheSumOfOuterProductsOfAsManyRows) {
  set_up_cuda();
  const Network n(2, 100, 200, 70);
  if (!cuda::point_mlp_uses_wgmma(n.d, {ProductMath::bf16})) GTEST_SKIP() << "not sm_90a";
  constexpr std::int64_t kWidth = 256;
  const std::int64_t most = cuda::point_mlp_most_winners(n.d), hidden = n.d.hidden;
  const auto stream = backend_of(DeviceKind::cuda).stream();
  const std::vector<double> a1 = whole_numbers(most * kWidth, 1);
  for (const std::int32_t rows : {0, 5, 64, 201, static_cast<std::int32_t>(most)}) {
    std::vector<double> dz2 = whole_numbers(most * kWidth, 2);
    const std::int64_t end = std::min(round_up(rows, cuda::kPointMlpPaddedRows), most);
    for (std::int64_t i = rows * kWidth; i < end * kWidth; ++i) dz2[static_cast<std::size_t>(i)] = 0;
    const DeviceBf16 device_a1(a1), device_dz2(dz2);
    const DeviceBuffer count(DeviceKind::cuda, sizeof(rows));
    backend_of(DeviceKind::cuda).upload(count.data(), &rows, sizeof(rows));
    cuda::PointMlpWinners winners{};
    winners.rows = reinterpret_cast<std::int32_t*>(count.data());
    const int parts = 3;
    DeviceFloat dw3(std::vector<double>(static_cast<std::size_t>(parts * hidden * hidden), NAN));
    set_schedule(rows);
    cuda::point_mlp_backward_w3_wgmma(n.d, winners, {device_a1.get(), nullptr, device_dz2.get()},
                                      {parts, 0, dw3.get(), nullptr}, stream);
    const std::vector<double> got = dw3.values();
    for (std::int64_t o = 0; o < hidden; ++o) {
      for (std::int64_t i = 0; i < hidden; ++i) {
        double expected = 0, sum = 0;
        for (std::int64_t r = 0; r < rows; ++r) {
          expected += dz2[static_cast<std::size_t>(r * kWidth + o)] * a1[static_cast<std::size_t>(r * kWidth + i)];
        }
        for (std::int64_t p = 0; p < parts; ++p) sum += got[static_cast<std::size_t>((p * hidden + o) * hidden + i)];
        ASSERT_EQ(sum, expected) << rows << " rows, [" << o << ", " << i << "]";
      }
    }
  }
}

TEST(PointMlpChoice, WarpgroupsMultiplyWhereTheyCan) {
  set_up_cuda();
  const Network n(1, 1, 256, 256), narrow(1, 1, 192, 256);
  if (!cuda::point_mlp_uses_wgmma(n.d, {ProductMath::bf16})) GTEST_SKIP() << "not sm_90a";
  EXPECT_FALSE(cuda::point_mlp_uses_wgmma(n.d, {.math = ProductMath::bf16, .warpgroups = false}));
  EXPECT_FALSE(cuda::point_mlp_uses_wgmma(n.d, {ProductMath::f32}));
  EXPECT_FALSE(cuda::point_mlp_uses_wgmma(narrow.d, {ProductMath::bf16}));
}

}  // namespace
}  // namespace roap
