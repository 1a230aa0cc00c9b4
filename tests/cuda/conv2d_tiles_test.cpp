#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "kernels/batch_norm/batch_norm_reference.h"
#include "kernels/conv2d/conv2d_cuda.h"
#include "kernels/conv2d/conv2d_reference.h"
#include "tests/cuda/cuda_test.h"
#include "tests/cuda/device_numbers.h"

// Every tile of the tensor-core convolutions, whichever the sizes would choose: the parity test only meets those that
// suit small cases.

namespace roap {
namespace {

struct Sizes {
  explicit Sizes(const Conv2dDims& d)
      : x(d.n * d.h * d.w * d.ci), w(d.co * d.ci * d.kh * d.kw), y(d.n * d.ho() * d.wo() * d.co) {}
  std::int64_t x, w, y;
};

struct TileCase {
  Conv2dPass pass;
  Conv2dDims dims;
  cuda::ProductTile tile;
};

std::string dims_text(const Conv2dDims& d) {
  return fmt::format("n{}_{}x{}x{}_to{}_k{}_s{}", d.n, d.h, d.w, d.ci, d.co, d.kh, d.stride);
}

/// Moments of a forward pass: room for what the tiles find, and comparison of all together with those of y.
class ProductMoments {
 public:
  ProductMoments(const Conv2dDims& d, const cuda::ConvProduct& p)
      : dims_{d.n * d.ho() * d.wo(), d.co},
        parts_(p.parts()),
        moments_(zeros(2 * parts_ * dims_.channels)),
        rows_(zeros(parts_)) {}
  [[nodiscard]] cuda::ConvMoments parts() const { return {moments_.get(), rows_.get()}; }
  void compare(const std::vector<double>& y) const {
    DeviceFloat mean(zeros(dims_.channels)), variance(zeros(dims_.channels));
    cuda::batch_norm_combine(dims_, parts_, moments_.get(), rows_.get(), mean.get(), variance.get(),
                             backend_of(DeviceKind::cuda).stream());
    std::vector<double> expected_mean = zeros(dims_.channels), expected_variance = expected_mean;
    reference::batch_norm_statistics(dims_, y.data(), expected_mean.data(), expected_variance.data());
    const std::vector<double> got_mean = mean.values(), got_variance = variance.values();
    for (std::size_t c = 0; c < got_mean.size(); ++c) {
      ASSERT_NEAR(got_mean[c], expected_mean[c], 1e-6 * std::sqrt(expected_variance[c])) << c;
      ASSERT_NEAR(got_variance[c], expected_variance[c], 1e-6 * expected_variance[c]) << c;
    }
  }

 private:
  BatchNormDims dims_;
  int parts_;
  DeviceFloat moments_, rows_;
};

class ProductTiles : public testing::TestWithParam<TileCase> {
 protected:
  void SetUp() override { set_up_cuda(); }
};

TEST_P(ProductTiles, MatchReference) {
  const auto& [pass, d, tile] = GetParam();
  if (tile.warpgroups && !cuda::conv_has_warpgroups()) GTEST_SKIP() << "not sm_90a";
  const bool data = pass == Conv2dPass::backward_data;
  const Sizes sizes(d);
  const std::vector<double> source = whole_numbers(data ? sizes.y : sizes.x, 1), w = whole_numbers(sizes.w, 2);
  std::vector<double> expected = whole_numbers(data ? sizes.x : sizes.y, 3);
  const std::vector<double> before = expected;
  const DeviceBf16 device_source(source);
  const DeviceFloat device_w(w);
  const cuda::PackedWeights layout = cuda::packed_live_taps(d, data, cuda::kProductDepth);
  const DeviceBf16 packed(zeros(static_cast<std::int64_t>(layout.elements())));
  const auto stream = backend_of(DeviceKind::cuda).stream();

  cuda::pack_weights(layout, device_w.get(), packed.get(), stream);
  if (data) {
    reference::conv2d_backward_data(d, source.data(), w.data(), expected.data(), true);
  } else {
    reference::conv2d_forward(d, source.data(), w.data(), expected.data());
  }
  for (double& value : expected) value = from_bf16(to_bf16(static_cast<float>(value)));
  const cuda::ConvProduct product = cuda::conv_product(pass, d, tile);
  for (const int seed : {1, 2}) {
    set_schedule(seed);
    DeviceBf16 result(before);
    const ProductMoments moments(d, product);
    cuda::conv_product_run(product, device_source.get(), packed.get(), result.get(), data, stream,
                           data ? cuda::ConvMoments{} : moments.parts());
    const std::vector<double> got = result.values();
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i], expected[i]) << "[" << i << "], schedule " << seed;
    }
    if (!data) moments.compare(expected);
    if (!tile.warpgroups) break;
  }
}

std::vector<TileCase> tile_cases() {
  //                 n   h  w  ci  co  kh kw s  p
  const Conv2dDims unit{18, 5, 6, 72, 40, 3, 3, 1, 1};
  const Conv2dDims stride{17, 8, 7, 64, 72, 3, 3, 2, 1};
  const Conv2dDims small{70, 2, 2, 136, 24, 3, 3, 1, 1};
  const Conv2dDims point{20, 5, 4, 200, 16, 1, 1, 1, 0};  // one tap: as many regions as stages
  const Conv2dDims centre{300, 1, 1, 136, 72, 3, 3, 1, 1};
  const std::vector<std::pair<Conv2dDims, cuda::ProductTile>> tiles = {
      {unit, {16, 2, 8}},         {unit, {16, 4, 4}},   {unit, {16, 4, 2}},    {unit, {16, 1, 4}},
      {unit, {256, 1, 1, true}},  {unit, {32, 2, 1}},   {stride, {16, 1, 8}},  {stride, {16, 2, 2}},
      {stride, {64, 1, 1, true}}, {small, {64, 2, 2}},  {small, {32, 2, 2}},   {small, {16, 2, 2}},
      {point, {16, 4, 4}},        {point, {128, 1, 1}}, {centre, {256, 1, 1}}, {centre, {128, 1, 1, true}},
      {centre, {64, 1, 1}}};
  std::vector<TileCase> cases;
  // Where warpgroups multiply. `few` leaves the second block of a cluster without images.
  const Conv2dDims warp_unit{70, 5, 4, 64, 136, 3, 3, 1, 1}, warp_stride{66, 7, 8, 64, 24, 3, 3, 2, 1};
  const Conv2dDims warp_small{130, 2, 2, 128, 72, 3, 3, 1, 1}, down{67, 6, 5, 64, 64, 1, 1, 2, 0};
  const Conv2dDims warp_centre{300, 1, 1, 512, 128, 3, 3, 1, 1}, few{3, 2, 2, 192, 16, 3, 3, 2, 1};
  const auto of_warpgroups = [](int images, int rows, int columns) {
    return cuda::ProductTile{images, rows, columns, false, true};
  };
  const std::vector<std::pair<Conv2dDims, cuda::ProductTile>> warpgroup_tiles = {
      {warp_unit, of_warpgroups(64, 2, 2)},    {warp_unit, of_warpgroups(64, 1, 2)},
      {warp_unit, of_warpgroups(64, 4, 1)},    {warp_stride, of_warpgroups(64, 1, 2)},
      {warp_stride, of_warpgroups(64, 2, 1)},  {warp_small, of_warpgroups(64, 2, 2)},
      {warp_small, of_warpgroups(128, 1, 2)},  {warp_small, of_warpgroups(128, 1, 1)},
      {down, of_warpgroups(64, 2, 1)},         {down, of_warpgroups(128, 2, 1)},
      {warp_centre, of_warpgroups(128, 1, 1)}, {warp_centre, of_warpgroups(256, 1, 1)},
      {few, of_warpgroups(64, 2, 1)},          {few, of_warpgroups(128, 1, 1)}};
  for (const Conv2dPass pass : {Conv2dPass::forward, Conv2dPass::backward_data}) {
    for (const auto& [d, tile] : tiles) cases.push_back({pass, d, tile});
    for (auto [d, tile] : warpgroup_tiles) {
      if (pass == Conv2dPass::backward_data) std::swap(d.ci, d.co);
      cases.push_back({pass, d, tile});
    }
  }
  return cases;
}

std::string tile_name(const testing::TestParamInfo<TileCase>& info) {
  const auto& [pass, d, tile] = info.param;
  return fmt::format("{}_{}_tile{}x{}x{}{}", pass == Conv2dPass::forward ? "forward" : "data", dims_text(d),
                     tile.images, tile.rows, tile.columns,
                     tile.per_tap      ? "_per_tap"
                     : tile.warpgroups ? "_warpgroups"
                                       : "");
}

INSTANTIATE_TEST_SUITE_P(Conv2d, ProductTiles, testing::ValuesIn(tile_cases()), tile_name);

struct UnitCase {
  Conv2dDims dims;
  cuda::WeightUnit unit;
  int splits;
  int members = 1;
};

class WeightUnits : public testing::TestWithParam<UnitCase> {
 protected:
  void SetUp() override { set_up_cuda(); }
};

TEST_P(WeightUnits, MatchReference) {
  const auto& [d, unit, splits, members] = GetParam();
  if (unit.warpgroups && !cuda::conv_has_warpgroups()) GTEST_SKIP() << "not sm_90a";
  const Sizes sizes(d);
  const cuda::ConvWeight p = cuda::conv_weight(d, members, unit, splits);
  std::deque<DeviceBf16> device_dy, device_x;
  std::vector<std::vector<double>> expected(static_cast<std::size_t>(members), zeros(sizes.w));
  cuda::WeightOperands operands;
  for (int i = 0; i < members; ++i) {
    const std::vector<double> dy = whole_numbers(sizes.y, 2 * i + 1), x = whole_numbers(sizes.x, 2 * i + 2);
    reference::conv2d_backward_weight(d, dy.data(), x.data(), expected[static_cast<std::size_t>(i)].data());
    operands.dy[i] = device_dy.emplace_back(dy).get();
    operands.x[i] = device_x.emplace_back(x).get();
  }
  const auto stream = backend_of(DeviceKind::cuda).stream();
  for (const int seed : {1, 2}) {
    set_schedule(seed);
    const DeviceFloat parts(zeros(static_cast<std::int64_t>(p.parts.elements()) * members));
    std::deque<DeviceFloat> dw;
    cuda::WeightGradients gradients{.members = members};
    for (int i = 0; i < members; ++i) gradients.dw[i] = dw.emplace_back(whole_numbers(sizes.w, 3)).get();
    cuda::conv_weight_run(p, operands, parts.get(), stream);
    cuda::add_weight_parts(d, p.parts, parts.get(), gradients, stream);
    for (std::size_t i = 0; i < dw.size(); ++i) {
      ASSERT_EQ(dw[i].values(), expected[i]) << "member " << i << ", schedule " << seed;
    }
    if (!unit.warpgroups) break;
  }
}

std::vector<UnitCase> unit_cases() {
  return {{{35, 5, 6, 72, 72, 3, 3, 1, 1}, {16, 1, 8}, 7},
          {{35, 5, 6, 64, 64, 3, 3, 1, 1}, {16, 2, 2}, 4},
          {{35, 5, 6, 24, 136, 3, 3, 2, 1}, {32, 2, 1}, 100},
          {{70, 2, 2, 72, 72, 3, 3, 1, 1}, {64, 2, 2}, 1},
          {{70, 1, 1, 72, 136, 3, 3, 1, 1}, {32, 1, 1}, 2},
          {{20, 6, 5, 40, 8, 1, 1, 2, 0}, {16, 1, 4}, 3},
          // Where warpgroups multiply: many taps, more than one window of them, strides that leave rows of x out ...
          {{35, 5, 6, 72, 72, 3, 3, 1, 1}, {32, 1, 8, true}, 3},
          {{35, 5, 6, 24, 136, 3, 3, 2, 1}, {32, 1, 2, true}, 100},
          {{70, 2, 2, 72, 72, 3, 3, 1, 1}, {64, 1, 2, true}, 2},
          {{18, 7, 9, 8, 16, 5, 4, 1, 2}, {32, 1, 4, true}, 2},
          {{17, 40, 4, 16, 8, 3, 3, 7, 1}, {32, 1, 1, true}, 1},
          {{3, 3, 3, 16, 8, 2, 1, 1, 3}, {32, 1, 4, true}, 1},
          // ... and one, of a block's columns and of more, with padding.
          {{70, 1, 1, 72, 136, 3, 3, 1, 1}, {64, 1, 1, true}, 2},
          {{20, 6, 5, 40, 8, 1, 1, 2, 0}, {64, 1, 1, true}, 3},
          {{130, 2, 3, 264, 272, 1, 1, 1, 1}, {64, 1, 1, true}, 4},
          {{600, 1, 1, 128, 64, 1, 1, 1, 0}, {64, 1, 1, true}, 1},
          // Several convolutions at a time.
          {{35, 5, 6, 72, 72, 3, 3, 1, 1}, {16, 2, 2}, 4, 3},
          {{20, 6, 5, 40, 8, 1, 1, 2, 0}, {16, 1, 4}, 3, 2},
          {{35, 5, 6, 72, 72, 3, 3, 1, 1}, {32, 1, 2, true}, 3, 4},
          {{130, 2, 3, 264, 272, 1, 1, 1, 0}, {64, 1, 1, true}, 2, 2}};
}

std::string unit_name(const testing::TestParamInfo<UnitCase>& info) {
  const auto& [d, unit, splits, members] = info.param;
  return fmt::format("{}_unit{}x{}x{}{}_splits{}_members{}", dims_text(d), unit.images, unit.rows, unit.columns,
                     unit.warpgroups ? "_warpgroups" : "", splits, members);
}

INSTANTIATE_TEST_SUITE_P(Conv2d, WeightUnits, testing::ValuesIn(unit_cases()), unit_name);

class Conv2dPacking : public testing::Test {
 protected:
  void SetUp() override { set_up_cuda(); }
};

// As cuDNN gets them: the whole kernel of weights that hold one tap of nine.
TEST_F(Conv2dPacking, TapsThatWeightsDoNotHoldAreZeroAndGetNoGradient) {
  const Conv2dDims d{5, 1, 1, 35, 6, 3, 3, 1, 1, true};
  cuda::PackedWeights whole = cuda::packed_live_taps(d, false, 1);
  whole.taps_y = whole.taps_x = 3;
  whole.first_tap_y = whole.first_tap_x = -1;
  whole.tap_stride = d.ci;
  whole.row_stride = 9 * d.ci;
  const std::vector<double> w = whole_numbers(d.co * d.ci, 1);
  const DeviceFloat device_w(w);
  DeviceFloat packed(whole_numbers(9 * d.co * d.ci, 2)), dw(whole_numbers(d.co * d.ci, 3));
  const auto stream = backend_of(DeviceKind::cuda).stream();
  cuda::pack_weights(whole, device_w.get(), packed.get(), stream);
  const std::vector<double> got = packed.values();
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::size_t o = i / 315, tap = i / 35 % 9;
    ASSERT_EQ(got[i], tap == 4 ? w[o * 35 + i % 35] : 0) << i;
  }
  cuda::WeightParts parts = cuda::live_weight_parts(d, 1);
  parts.taps_y = parts.taps_x = 3;
  parts.first_tap_y = parts.first_tap_x = -1;
  parts.ky_stride = 3 * d.ci;
  parts.o_stride = 9 * d.ci;
  cuda::add_weight_parts(d, parts, packed.get(), {{dw.get()}}, stream);
  EXPECT_EQ(dw.values(), w);
}

// What the sizes of ResNet-18 on 32 x 32 images choose with 1,024 pairs of 3 images.
TEST(Conv2dChoice, LayersOfThePaperFitAndFillTheCard) {
  constexpr std::size_t kMultiprocessors = 132;
  const std::vector<Conv2dDims> layers = {{3072, 8, 8, 64, 64, 3, 3, 1, 1},   {3072, 8, 8, 64, 128, 3, 3, 2, 1},
                                          {3072, 8, 8, 64, 128, 1, 1, 2, 0},  {3072, 4, 4, 128, 128, 3, 3, 1, 1},
                                          {3072, 4, 4, 128, 256, 3, 3, 2, 1}, {3072, 4, 4, 128, 256, 1, 1, 2, 0},
                                          {3072, 2, 2, 256, 256, 3, 3, 1, 1}, {3072, 2, 2, 256, 512, 3, 3, 2, 1},
                                          {3072, 2, 2, 256, 512, 1, 1, 2, 0}, {3072, 1, 1, 512, 512, 3, 3, 1, 1}};
  for (const Conv2dDims& d : layers) {
    for (const Conv2dPass pass : {Conv2dPass::forward, Conv2dPass::backward_data}) {
      for (const bool warpgroups : {false, true}) {
        const cuda::ConvProduct p = cuda::conv_product(pass, d, warpgroups);
        EXPECT_LE(cuda::shared_bytes(p), (p.tile.warpgroups ? 226u : 113u) * 1024) << dims_text(d);
        EXPECT_GE(p.blocks(), kMultiprocessors * 2 / 3) << dims_text(d);
      }
    }
    for (const bool warpgroups : {false, true}) {
      const cuda::ConvWeight w = cuda::conv_weight(d, 1, warpgroups);
      EXPECT_LE(cuda::shared_bytes(w), (w.unit.warpgroups ? 226u : 160u) * 1024) << dims_text(d);
      EXPECT_GE(w.blocks(), kMultiprocessors * 2 / 3) << dims_text(d);
    }
  }
}

TEST(Conv2dChoice, WarpgroupsMultiplyLargeProducts) {
  const Conv2dDims centre{3072, 1, 1, 512, 512, 3, 3, 1, 1}, square{3072, 2, 2, 256, 256, 3, 3, 1, 1};
  for (const Conv2dPass pass : {Conv2dPass::forward, Conv2dPass::backward_data}) {
    for (const Conv2dDims& d : {centre, square}) {
      EXPECT_TRUE(cuda::conv_product(pass, d, true).tile.warpgroups) << dims_text(d);
      EXPECT_FALSE(cuda::conv_product(pass, d, false).tile.warpgroups) << dims_text(d);
    }
  }
  // Half of their columns, or most of their depth, would be padding.
  const Conv2dDims narrow{3072, 8, 8, 64, 64, 3, 3, 1, 1}, shallow{3072, 2, 2, 24, 256, 3, 3, 1, 1};
  for (const Conv2dDims& d : {narrow, shallow}) {
    EXPECT_FALSE(cuda::conv_product(Conv2dPass::forward, d, true).tile.warpgroups) << dims_text(d);
  }
  for (const Conv2dDims& d : {centre, square, narrow}) {
    EXPECT_TRUE(cuda::conv_weight(d, 1, true).unit.warpgroups) << dims_text(d);
    EXPECT_FALSE(cuda::conv_weight(d, 1, false).unit.warpgroups) << dims_text(d);
  }
  // Rows of its maps do not begin where the copy engine can.
  EXPECT_FALSE(cuda::conv_weight({3072, 1, 1, 508, 512, 3, 3, 1, 1}, 1, true).unit.warpgroups);
  // The parity test has these cases, for the plans.
  EXPECT_TRUE(cuda::conv_weight({17, 8, 8, 64, 64, 3, 3, 1, 1}, 1, true).unit.warpgroups);
  EXPECT_TRUE(cuda::conv_weight({19, 1, 1, 512, 512, 3, 3, 1, 1}, 1, true).unit.warpgroups);
  EXPECT_TRUE(cuda::conv_product(Conv2dPass::forward, {1100, 1, 1, 64, 512, 1, 1, 1, 0}, true).tile.warpgroups);
  EXPECT_TRUE(cuda::conv_product(Conv2dPass::backward_data, {1100, 1, 1, 512, 64, 1, 1, 1, 0}, true).tile.warpgroups);
}

}  // namespace
}  // namespace roap
