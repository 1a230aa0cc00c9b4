#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "engine/device.h"
#include "io/model_files.h"

namespace roap::bin {

void warn(const std::string& message) { fmt::print(stderr, "roap: warning: {}\n", message); }

void ConfigOptions::add_to(CLI::App& command) {
  command.add_option("--preset", preset, "digits, cifar-small, paper or a FILE.toml")->capture_default_str();
  command.add_option("--set", settings, "section.key=value; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--data", data, "digits or cifar10:DIR (data.source)");
  command.add_option("--method", method, "roap, free, softmax or tree (train.method)");
  command.add_option("--device", device, "auto or cpu (device.name)");
  command.add_option("--seed", seed, "of weights, pairs and noise (train.seed)");
}

io::Config ConfigOptions::load() const {
  std::vector<std::string> all = settings;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) all.push_back(fmt::format("{}={}", key, value));
  };
  add("data.source", data);
  add("train.method", method);
  add("device.name", device);
  add("train.seed", seed);
  return io::load_config(preset, all);
}

void prepare_device(const io::Config& config) {
  if (config.device.name.starts_with("cuda")) {
    throw DeviceError("device cuda: this build has no CUDA device; use --device cpu");
  }
  if (config.device.precision != "f32") {
    throw UsageError(
        fmt::format("device.precision = {}: the cpu device computes in f32 in this version", config.device.precision));
  }
  if (config.device.ranks != 1) throw UsageError("device.ranks: this version trains on one device; set it to 1");
  if (config.train.runs != 1)
    throw UsageError("train.runs: this version trains one run at a time; start roap train once per seed");
  set_threads(static_cast<int>(config.device.threads));
}

LoadedRun load_run(const std::string& path, const std::string& data_override) {
  io::RunFolder folder = io::RunFolder::open(path, io::RunFolder::Access::read);
  io::Config config = folder.read_config();
  prepare_device(config);
  const io::Checkpoint checkpoint = io::load_newest_intact(folder.path(), warn, io::config_sha256(config));
  io::Experiment experiment = io::load_experiment(config, data_override);
  auto model = std::make_unique<Model>(config, problem_shape(*experiment.benchmark.train));
  io::restore_model(checkpoint, *model, false);
  return {std::move(folder),
          std::move(config),
          std::move(experiment),
          std::move(model),
          io::restore_state(checkpoint),
          checkpoint.info.extra.value("seconds", 0.0)};
}

}  // namespace roap::bin
