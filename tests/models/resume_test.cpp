#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/experiment.h"
#include "io/model_files.h"
#include "models/trainer.h"
#include "tests/io/io_test_util.h"

// A run that goes on from a checkpoint must end with the bits of the run that never stopped, and it can only do so when
// every part of the state was restored: leaving out any one of them must show.

namespace roap {
namespace {

constexpr std::uint64_t kStepsBefore = 4;
constexpr std::uint64_t kStepsAfter = 3;

io::Config tiny_config() {
  return io::parse_config(
      "[tasks]\ncount = 8\nmax_operators = 1\n"
      "[model]\ngrounder_width = 2\nwidth = 8\nlines = 4\n"
      "[train]\nsteps = 100\npairs_per_step = 8\n",
      "tiny");
}

struct TinyRun {
  io::Experiment experiment;
  Model model;
  Trainer trainer;

  explicit TinyRun(const io::Config& config)
      : experiment(io::load_experiment(config)),
        model(config, problem_shape(*experiment.benchmark.train)),
        trainer(model, *experiment.benchmark.train) {}

  void train(std::uint64_t steps) {
    for (std::uint64_t i = 0; i < steps; ++i) EXPECT_FALSE(trainer.step().skipped);
  }
  ParameterStore& store() { return model.store(); }

  /// Weights, moments, statistics and Adam's step count.
  std::vector<std::vector<float>> state() {
    std::vector<std::vector<float>> all;
    for (const ParameterInfo& info : store().weights()) {
      for (const Arena arena : {Arena::weights, Arena::moment1, Arena::moment2})
        all.push_back(store().read(store().slot(info.name, arena)));
    }
    for (const ParameterInfo& info : store().buffers()) all.push_back(store().read(info.slot));
    return all;
  }
};

/// Trains, saves, restores into a fresh run, lets `damage` undo a part of that, goes on and compares the end's bits.
bool ends_equal(const std::function<void(TinyRun&)>& damage, const io::Config& config = tiny_config()) {
  const io::TempFolder folder;
  TinyRun whole(config);
  whole.train(kStepsBefore);
  io::save_checkpoint(folder.path(), whole.model, whole.trainer.state(), 0, {.wall = 1, .processor = 2});
  whole.train(kStepsAfter);

  TinyRun resumed(config);
  const io::Checkpoint checkpoint = io::load_checkpoint(folder.path(), kStepsBefore, io::config_sha256(config));
  EXPECT_EQ(io::trained_time(checkpoint).wall, 1);
  EXPECT_EQ(io::trained_time(checkpoint).processor, 2);
  io::restore_model(checkpoint, resumed.model, true);
  resumed.trainer.restore(io::restore_state(checkpoint));
  damage(resumed);
  resumed.train(kStepsAfter);
  return resumed.state() == whole.state();
}

void set_to(TinyRun& run, const Slot& slot, float value) {
  run.store().write(slot, std::vector<float>(static_cast<std::size_t>(slot.shape.count()), value));
}

TEST(Resume, WithEverythingRestoredTheBitsAreEqual) {
  EXPECT_TRUE(ends_equal([](TinyRun&) {}));
}

TEST(Resume, WithAnMlpTheBitsAreEqualToo) {
  for (const char* method : {"mlp-disjoint", "mlp-onehot"}) {
    io::Config config = tiny_config();
    config.train.method = method;
    EXPECT_TRUE(ends_equal([](TinyRun&) {}, config)) << method;
    EXPECT_FALSE(
        ends_equal([](TinyRun& run) { set_to(run, run.store().slot("head.0.bias", Arena::moment1), 0); }, config))
        << method;
  }
}

// While runs are screened, the best one so far is part of the state.
TEST(Resume, AmongSeveralRunsTheBitsAreEqual) {
  io::Config config = tiny_config();
  config.train.runs = 3;
  config.train.screen_steps = 3;
  config.train.steps = 6;
  constexpr std::uint64_t kAllSteps = 12;
  const auto train_to = [](TinyRun& run, std::uint64_t step) {
    while (run.trainer.state().step < step) {
      if (run.trainer.at_run_end()) run.trainer.end_run();
      run.train(1);
    }
  };
  TinyRun whole(config);
  train_to(whole, kAllSteps);
  for (const std::uint64_t stop : {2U, 3U, 5U, 6U, 8U, 9U, 10U}) {
    const io::TempFolder folder;
    TinyRun before(config);
    train_to(before, stop);
    io::save_checkpoint(folder.path(), before.model, before.trainer.state(), 0, {.wall = 1, .processor = 2});
    const io::Checkpoint checkpoint =
        io::load_checkpoint(folder.path(), static_cast<std::int64_t>(stop), io::config_sha256(config));
    TinyRun resumed(config);
    io::restore_model(checkpoint, resumed.model, true);
    resumed.trainer.restore(io::restore_state(checkpoint));
    train_to(resumed, kAllSteps);
    EXPECT_EQ(resumed.state(), whole.state()) << "stopped at step " << stop;
  }
}

TEST(Resume, WithoutTheSmoothedLossAnotherRunMayGoOn) {
  io::Config config = tiny_config();
  config.train.runs = 2;
  config.train.screen_steps = 3;
  TinyRun run(config);
  run.train(3);
  TrainerState state = run.trainer.state();
  state.smooth_loss = 1e9;  // worse than whatever the second run ends with
  run.trainer.restore(state);
  run.trainer.end_run();
  run.train(3);
  EXPECT_EQ(run.trainer.end_run().best->run, 1U);
}

TEST(Resume, WithoutAdamsStepCountTheyDiffer) {
  EXPECT_FALSE(ends_equal([](TinyRun& run) { set_to(run, run.store().slot("adam.step", Arena::buffers), 0); }));
}

TEST(Resume, WithoutAMomentTheyDiffer) {
  for (const Arena moment : {Arena::moment1, Arena::moment2}) {
    EXPECT_FALSE(ends_equal([&](TinyRun& run) { set_to(run, run.store().slot("grounder.conv1.weight", moment), 0); }));
  }
}

TEST(Resume, WithoutAWeightTheyDiffer) {
  EXPECT_FALSE(ends_equal([](TinyRun& run) {
    const Slot slot = run.store().slot("grounder.conv1.weight", Arena::weights);
    run.store().write(slot, TinyRun(tiny_config()).store().read(slot));
  }));
}

TEST(Resume, WithoutTheRandomStreamsPositionTheyDiffer) {
  EXPECT_FALSE(ends_equal([](TinyRun& run) {
    TrainerState state = run.trainer.state();
    state.step = 0;
    run.trainer.restore(state);
  }));
  EXPECT_FALSE(ends_equal([](TinyRun& run) {
    TrainerState state = run.trainer.state();
    ++state.random_epoch;
    run.trainer.restore(state);
  }));
}

TEST(Resume, WithoutBatchNormStatisticsTheyDiffer) {
  EXPECT_FALSE(
      ends_equal([](TinyRun& run) { set_to(run, run.store().slot("grounder.bn1.running_mean", Arena::buffers), 0); }));
  EXPECT_FALSE(
      ends_equal([](TinyRun& run) { set_to(run, run.store().slot("grounder.bn1.running_var", Arena::buffers), 1); }));
}

}  // namespace
}  // namespace roap
