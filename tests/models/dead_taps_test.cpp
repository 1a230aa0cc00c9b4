#include <gtest/gtest.h>

#include <vector>

#include "engine/device.h"
#include "io/model_files.h"
#include "models/trainer.h"
#include "tests/io/io_test_util.h"
#include "tests/models/small_problem.h"

// Taps of convolutions that only ever meet padding are not in memory. Whoever keeps them must get the same bits.

namespace roap {
namespace {

/// ResNet-18 on 8 x 8 images: its last layers work on maps of one pixel.
struct SmallRun {
  search::FormulaPool pool = search::FormulaPool::enumerate(3, 1);
  Benchmark benchmark = small_benchmark(pool, 4);
  Model model;
  Trainer trainer;

  explicit SmallRun(StoredTaps taps)
      : model(config(), problem_shape(*benchmark.train), DeviceKind::cpu, taps), trainer(model, *benchmark.train) {}

  static Config config() {
    Config config = small_config(4);
    config.model.grounder = "resnet18";
    config.model.stem = "imagenet";
    config.train.pairs_per_step = 3;
    config.train.lr = config.train.grounder_lr = 1e-2;
    return config;
  }
  void train(int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_FALSE(trainer.step().skipped);
  }
  [[nodiscard]] std::vector<float> read(const std::string& name, Arena arena) {
    return model.store().read(model.store().slot(name, arena));
  }
};

void expect_equal(SmallRun& a, SmallRun& b) {
  for (const ParameterInfo& info : a.model.store().weights()) {
    for (const Arena arena : {Arena::weights, Arena::gradients, Arena::moment1, Arena::moment2}) {
      EXPECT_EQ(a.read(info.name, arena), b.read(info.name, arena)) << info.name;
    }
  }
}

class DeadTaps : public testing::Test {
 protected:
  void SetUp() override { set_threads(1); }
  void TearDown() override { set_threads(0); }
};

TEST_F(DeadTaps, TrainingWithoutThemGivesTheSameBits) {
  SmallRun live(StoredTaps::live), all(StoredTaps::all);
  const std::string name = "grounder.layer4.0.conv2.weight";
  const std::vector<float> start = live.read(name, Arena::weights);
  expect_equal(live, all);
  live.train(4);
  all.train(4);
  expect_equal(live, all);
  const std::vector<float> end = live.read(name, Arena::weights);
  for (std::size_t i = 0; i < end.size(); ++i) ASSERT_EQ(start[i] == end[i], i % 9 != 4) << i;
  // Nearly all weights are those of layers 3 and 4, where one tap of 9 is live.
  EXPECT_LT(3 * live.model.store().weight_count(), all.model.store().weight_count());
}

TEST_F(DeadTaps, CheckpointsHaveThemAndFitEitherWay) {
  const io::TempFolder live_folder, all_folder;
  SmallRun live(StoredTaps::live), all(StoredTaps::all);
  live.train(2);
  all.train(2);
  io::save_checkpoint(live_folder.path(), live.model, live.trainer.state(), 0, {.wall = 1, .processor = 2});
  io::save_checkpoint(all_folder.path(), all.model, all.trainer.state(), 0, {.wall = 1, .processor = 2});
  const io::Checkpoint of_live = io::load_checkpoint(live_folder.path(), 2),
                       of_all = io::load_checkpoint(all_folder.path(), 2);
  for (const ParameterInfo& info : live.model.store().weights()) {
    EXPECT_EQ(of_live.model.values<float>(info.name), of_all.model.values<float>(info.name)) << info.name;
    for (const char* moment : {"adam.m.", "adam.v."}) {
      EXPECT_EQ(of_live.state.values<float>(moment + info.name), of_all.state.values<float>(moment + info.name));
    }
  }
  SmallRun resumed(StoredTaps::live);
  io::restore_model(of_all, resumed.model, true);
  resumed.trainer.restore(io::restore_state(of_all));
  resumed.train(2);
  all.train(2);
  expect_equal(resumed, all);
}

}  // namespace
}  // namespace roap
