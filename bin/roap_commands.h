#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "bin/roap_run.h"
#include "models/model.h"

namespace roap::bin {

inline constexpr const char* kVersion = "0.1.0";

/// Each adds its subcommands to the program; their callbacks set `exit_code`.
void add_train_commands(CLI::App& app, int& exit_code);   // train, resume
void add_use_commands(CLI::App& app, int& exit_code);     // eval, programs, predict
void add_search_commands(CLI::App& app, int& exit_code);  // search, solve
void add_trace_command(CLI::App& app, int& exit_code);    // trace
void add_profile_command(CLI::App& app, int& exit_code);  // profile
void add_report_command(CLI::App& app, int& exit_code);   // report
void add_info_commands(CLI::App& app, int& exit_code);    // tasks, graph, config, doctor

/// The options that make a config: a preset or file, then --set and the short forms, in this order.
struct ConfigOptions {
  std::string preset = "digits";
  std::vector<std::string> settings;
  std::string data, method, device, seed;

  void add_to(CLI::App& command);
  /// UsageError where a key or value is wrong; DataError as io::open_data.
  [[nodiscard]] io::OpenedConfig load() const;
};

/// Sets up the device that the config names (auto: a GPU when there is one) and the number of threads. DeviceError or
/// UsageError where this build or machine lacks it.
DeviceKind prepare_device(const io::Config& config);

/// A run folder with its newest intact checkpoint, loaded for use.
struct LoadedRun {
  io::RunFolder folder;
  io::Config config;
  io::Experiment experiment;
  std::unique_ptr<Model> model;
  TrainerState state;
  io::TrainingTime time;
};
/// Empty overrides leave the run's own data.source and device.name.
LoadedRun load_run(const std::string& path, const std::string& data_override = "",
                   const std::string& device_override = "", io::TaskSet task_set = io::TaskSet::own);

/// The grounder's numbers for image files (PNG or JPEG), in order; DataError for a file that is none or of another
/// size.
std::vector<float> ground_files(Model& model, const std::vector<std::string>& files);

/// Prints a warning on stderr.
void warn(const std::string& message);

}  // namespace roap::bin
