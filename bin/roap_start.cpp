#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "engine/backend.h"
#include "engine/device.h"

// The beginnings of a run: anew, from another run's checkpoint, and where it stopped.

namespace roap::bin {

namespace {

/// A new folder with everything in it that is known before the first step.
io::RunFolder create_run(const NewRun& run, DeviceKind device) {
  const io::Config& config = run.config;
  io::RunFolder folder = io::RunFolder::create(run.out, {run.preset, config.train.method, config.train.seed});
  folder.write_config(config);
  folder.write_command(run.command);
  nlohmann::ordered_json environment =
      io::describe_environment(kVersion, set_threads(static_cast<int>(config.device.threads)));
  environment["device"] = backend_of(device).name();
  folder.write_environment(environment);
  fmt::print(stderr, "run folder {}\n", folder.path().string());
  return folder;
}

}  // namespace

int start_training(NewRun run, const TrainingOptions& options) {
  all_steps(run.config);
  check_method(run.config);
  const DeviceKind device = prepare_device(run.config);
  io::Experiment experiment = io::load_experiment(run.config, std::move(run.table));
  return TrainingRun(create_run(run, device), run.config, std::move(experiment), device).run(options);
}

int branch_training(NewRun run, const std::string& parent, std::int64_t step, const TrainingOptions& options) {
  const io::Config parent_config = io::RunFolder::open(parent, io::RunFolder::Access::read).read_config();
  const io::Checkpoint checkpoint = io::load_checkpoint(parent, step, io::config_sha256(parent_config));
  const DeviceKind device = prepare_device(run.config);
  io::Experiment experiment = io::load_experiment(run.config, std::move(run.table));
  TrainingRun training(create_run(run, device), run.config, std::move(experiment), device);
  training.branch(checkpoint);
  return training.run(options);
}

int resume_training(const std::string& run, const TrainingOptions& options) {
  io::RunFolder folder = io::RunFolder::open(run, io::RunFolder::Access::train);
  const io::Config config = folder.read_config();
  const DeviceKind device = prepare_device(config);
  const io::Checkpoint checkpoint = io::load_newest_intact(folder.path(), warn, io::config_sha256(config));
  io::Experiment experiment = io::load_experiment(config);
  fmt::print(stderr, "going on at step {} of {}\n", checkpoint.info.step, all_steps(config));
  TrainingRun training(std::move(folder), config, std::move(experiment), device);
  training.resume(checkpoint);
  return training.run(options);
}

}  // namespace roap::bin
