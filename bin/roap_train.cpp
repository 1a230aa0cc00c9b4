#include <fmt/format.h>

#include "bin/roap_commands.h"

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
  auto [config, table] = arguments.config.load();
  return start_training(
      {std::move(config), arguments.config.preset, arguments.out, command_line(command), std::move(table)},
      arguments.options);
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
  resume_command->callback([=, &exit_code] { exit_code = resume_training(*run, *options); });
}

}  // namespace roap::bin
