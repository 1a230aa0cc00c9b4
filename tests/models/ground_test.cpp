#include <gtest/gtest.h>

#include "models/model.h"
#include "tests/models/small_problem.h"

namespace roap {
namespace {

class Ground : public testing::TestWithParam<const char*> {};

TEST_P(Ground, RepeatedImagesGiveTheBitsOfComputingEach) {
  const search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  const Benchmark benchmark = small_benchmark(pool, 2);
  Config config = small_config(2);
  config.model.grounder = GetParam();
  Model model(config, problem_shape(*benchmark.train));
  const ImageSet& images = benchmark.train->images();
  std::vector<std::int32_t> index;
  constexpr int kAsked = 700;  // several batches
  for (int i = 0; i < kAsked; ++i) index.push_back(i * i % images.count);
  const auto shared = model.ground(images.pixels, images.count, index);
  ASSERT_EQ(shared.size(), index.size());
  EXPECT_EQ(shared, model.ground(images.pixels, images.count, index, Model::Repeats::compute));
  EXPECT_NE(shared[0], shared[1]);
  EXPECT_TRUE(model.ground(images.pixels, images.count, {}).empty());
}

INSTANTIATE_TEST_SUITE_P(Grounders, Ground, testing::Values("resnet-small", "resnet18"), [](const auto& grounder) {
  return std::string(grounder.param) == "resnet18" ? "ResNet18" : "Small";
});

}  // namespace
}  // namespace roap
