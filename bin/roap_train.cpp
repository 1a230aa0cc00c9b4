#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "engine/backend.h"
#include "engine/device.h"
#include "io/model_files.h"

namespace roap::bin {

namespace {

struct TrainArguments {
  ConfigOptions config;
  std::string out;
  TrainingOptions options;
};

/// "roap train ..." as it was typed.
std::vector<std::string> command_line(const CLI::App& command) {
  std::vector<std::string> words{"roap", command.get_name()};
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    for (const std::string& value : option->results()) {
      if (!option->get_lnames().empty()) words.push_back("--" + option->get_lnames()[0]);
      if (option->get_items_expected_max() > 0) words.push_back(value);
    }
  }
  return words;
}

int train(const TrainArguments& arguments, const CLI::App& command) {
  const io::Config config = arguments.config.load();
  all_steps(config);
  check_method(config);
  const DeviceKind device = prepare_device(config);
  io::Experiment experiment = io::load_experiment(config);
  io::RunFolder folder =
      io::RunFolder::create(arguments.out, {arguments.config.preset, config.train.method, config.train.seed});
  folder.write_config(config);
  folder.write_command(command_line(command));
  nlohmann::ordered_json environment =
      io::describe_environment(kVersion, set_threads(static_cast<int>(config.device.threads)));
  environment["device"] = backend_of(device).name();
  folder.write_environment(environment);
  fmt::print(stderr, "run folder {}\n", folder.path().string());
  return TrainingRun(std::move(folder), config, std::move(experiment), device).run(arguments.options);
}

int resume(const std::string& run, const TrainingOptions& options) {
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

}  // namespace

void add_train_commands(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* train_command = app.add_subcommand("train", "Train grounder and programs");
  train_command->footer("Example: roap train --preset digits --seed 1 --set train.steps=2000 --out runs/first");
  arguments->config.add_to(*train_command);
  train_command->add_option("--out", arguments->out, "run folder (default: a new one under runs/)");
  train_command->add_flag("--json", arguments->options.json, "print the results as one JSON object");
  train_command->callback([=, &exit_code] { exit_code = train(*arguments, *train_command); });

  auto run = std::make_shared<std::string>();
  auto options = std::make_shared<TrainingOptions>();
  CLI::App* resume_command = app.add_subcommand("resume", "Go on with an interrupted run, bit for bit");
  resume_command->footer("Example: roap resume runs/first");
  resume_command->add_option("run", *run, "run folder")->required();
  resume_command->add_flag("--json", options->json, "print the results as one JSON object");
  resume_command->callback([=, &exit_code] { exit_code = resume(*run, *options); });
}

}  // namespace roap::bin
