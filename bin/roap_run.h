#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/config.h"
#include "io/experiment.h"
#include "io/model_files.h"
#include "io/run_folder.h"
#include "models/evaluation.h"
#include "models/trainer.h"

namespace roap::bin {

/// Options of the running program that are not part of a config.
struct TrainingOptions {
  bool json = false;          ///< results as one JSON object on stdout
  std::size_t formulas = 20;  ///< rows of the table at the end
  bool quiet = false;         ///< one of many runs: no results on stdout, no line for each solved task
};

/// One training run in its folder: steps, evaluations, checkpoints, logs, signals.
class TrainingRun {
 public:
  TrainingRun(io::RunFolder folder, io::Config config, io::Experiment experiment, DeviceKind device);

  /// Weights, optimizer and counters of a checkpoint; the log goes on from there.
  void resume(const io::Checkpoint& checkpoint);
  /// The same for a new run folder, from a checkpoint of another run.
  void branch(const io::Checkpoint& checkpoint);
  /// Trains to the end (or to a signal) and returns the exit code.
  int run(const TrainingOptions& options);

 private:
  bool train();  ///< false when interrupted
  void end_run();
  void after_step(const StepReport& report);
  void roll_back(const std::string& reason);
  void evaluate_and_log(bool final);
  void save();
  void log_step(const StepReport& report);
  [[nodiscard]] io::TrainingTime time() const;
  void finish();

  io::RunFolder folder_;
  io::Config config_;
  io::Experiment experiment_;
  Model model_;
  Trainer trainer_;
  std::unique_ptr<class Progress> progress_;
  std::unique_ptr<Evaluation> evaluation_;
  std::vector<bool> solved_;
  TrainingOptions options_;
  io::TrainingTime before_;       ///< of earlier sessions of a resumed run
  bool finished_before_ = false;  ///< a finished run was resumed
  io::TrainingTime started_;
  int rollbacks_ = 0;
  std::optional<std::uint64_t> saved_step_;

 public:
  ~TrainingRun();
};

/// Where a new run comes from and goes to.
struct NewRun {
  io::Config config;
  std::string preset;                     ///< names the folder where `out` is empty
  std::string out;                        ///< run folder
  std::vector<std::string> command;       ///< for command.txt
  std::optional<io::ImageTable> table{};  ///< that io::open_data found with the config
};
/// Trains a new run to its end (or to a signal) and returns the exit code.
int start_training(NewRun run, const TrainingOptions& options);
/// The same from the checkpoint of `step` that the run `parent` has.
int branch_training(NewRun run, const std::string& parent, std::int64_t step, const TrainingOptions& options);
/// Goes on with an interrupted run.
int resume_training(const std::string& run, const TrainingOptions& options);

/// From now on the first signal asks for a stop after the current step; a second one ends the process at once.
void catch_signals();
/// The signal that asked for a stop, or 0.
int interrupted_by();

/// The object that `train`, `resume` and `eval` print with --json.
nlohmann::ordered_json result_json(const Evaluation& evaluation, const TrainerState& state,
                                   const io::TrainingTime& time, const std::string& run);
/// The rows of programs.json.
nlohmann::ordered_json programs_json(const Evaluation& evaluation);
/// Metrics for people: a few lines.
std::string summary_text(const Evaluation& evaluation);
/// Learned formulas with gold and verdict, at most `rows`.
std::string formulas_text(const Evaluation& evaluation, std::size_t rows);

}  // namespace roap::bin
