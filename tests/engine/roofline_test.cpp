#include "engine/roofline.h"

#include <gtest/gtest.h>

#include <array>

#include "kernels/common/multiply_add_peak.h"

namespace roap {
namespace {

TEST(Roofline, MultiplyAddsThatSetTheCeilingAreDone) {
  std::array<float, cpu::kMultiplyAddSums> sums{0.5f, 1.0f};
  const std::int64_t three = cpu::multiply_add_peak(3, sums.data());
  EXPECT_EQ(sums[0], 1.75f);  // 0 -> 1 -> 1.5 -> 1.75
  sums = {0.5f, 1.0f};
  EXPECT_EQ(cpu::multiply_add_peak(6, sums.data()), 2 * three);
  EXPECT_EQ(sums[0], 1.96875f);
}

TEST(Roofline, TheFloorIsTheSlowerOfArithmeticAndMemory) {
  const Ceilings ceilings{10, 100, 0};
  EXPECT_EQ(floor_seconds({.flop = 200, .bytes = 10}, ceilings), 2);
  EXPECT_EQ(floor_seconds({.flop = 100, .bytes = 30}, ceilings), 3);
}

}  // namespace
}  // namespace roap
