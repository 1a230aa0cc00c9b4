#include "bin/repro_execute.h"

#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "bin/roap_progress.h"
#include "io/file_util.h"

namespace roap::bin {

namespace fs = std::filesystem;

namespace {

std::string group_key(const io::Study& study, const io::PlannedRun& run) { return study.id + "-" + run.group; }

/// After one step that warms up, until there is something to divide by.
double seconds_per_step(const io::Config& config) {
  constexpr double kEnough = 0.5;
  constexpr int kMost = 20;
  const DeviceKind device = prepare_device(config);
  const io::Experiment experiment = io::load_experiment(config);
  Model model(config, problem_shape(*experiment.benchmark.train), device);
  Trainer trainer(model, *experiment.benchmark.train);
  trainer.step();
  const double started = monotonic_seconds();
  int steps = 0;
  while (steps < kMost && (steps == 0 || monotonic_seconds() - started < kEnough)) {
    trainer.step();
    ++steps;
  }
  return (monotonic_seconds() - started) / steps;
}

std::int64_t steps_of(const io::PlannedRun& run) { return all_steps(*run.config) - run.branch_step; }

enum class Beginning { anew, resumed, none };

/// What is there of a run already; leavings without a checkpoint are set aside.
Beginning beginning_of(const io::PlannedRun& run, const fs::path& path) {
  if (!io::is_present(path)) return Beginning::anew;
  if (!io::is_present(path / "config.toml") || io::list_checkpoints(path).empty()) {
    const fs::path aside = io::first_free_path(path.string() + ".not-begun");
    fs::rename(path, aside);
    warn(fmt::format("{} has no checkpoint: set aside as {}, the run begins anew", path.string(), aside.string()));
    return Beginning::anew;
  }
  const io::RunFolder folder = io::RunFolder::open(path, io::RunFolder::Access::read);
  if (folder.read_config() != *run.config) {
    throw UsageError(
        fmt::format("{} was trained with other settings than the plan's now; choose another --out", path.string()));
  }
  const io::RunState state = folder.read_status().state;
  return state == io::RunState::finished || state == io::RunState::diverged ? Beginning::none : Beginning::resumed;
}

std::vector<std::string> train_command(const io::Study& study, const io::PlannedRun& run) {
  std::vector<std::string> words{"roap", "train", "--preset", study.preset};
  for (const std::string& setting : run.settings) words.insert(words.end(), {"--set", setting});
  words.insert(words.end(), {"--out", run.name});
  return words;
}

int train_run(const io::Study& study, const io::PlannedRun& run, const fs::path& runs) {
  TrainingOptions options;
  options.quiet = true;
  const fs::path path = runs / run.name;
  const Beginning beginning = beginning_of(run, path);
  if (beginning == Beginning::none) return 0;
  if (beginning == Beginning::resumed) return resume_training(path.string(), options);
  const NewRun fresh{*run.config, study.preset, path.string(), train_command(study, run)};
  if (run.branch_of.empty()) return start_training(fresh, options);
  const fs::path parent = runs / run.branch_of;
  if (!io::is_present(io::checkpoint_folder(parent, run.branch_step))) {
    warn(fmt::format("{} cannot branch: {} has no checkpoint of step {}", run.name, run.branch_of, run.branch_step));
    return 0;
  }
  return branch_training(fresh, parent.string(), run.branch_step, options);
}

}  // namespace

StepSeconds measure_step_seconds(const io::Plan& plan) {
  StepSeconds seconds;
  for (const io::Study& study : plan.studies) {
    for (const io::PlannedRun& run : study.runs) {
      const std::string key = group_key(study, run);
      if (run.config && !seconds.contains(key) && interrupted_by() == 0) seconds[key] = seconds_per_step(*run.config);
    }
  }
  return seconds;
}

std::string plan_text(const io::Plan& plan, const StepSeconds& seconds) {
  std::string text;
  double sum = 0;
  for (const io::Study& study : plan.studies) {
    text += fmt::format("{} (preset {})\n", study.title, study.preset);
    for (const io::PlannedRun& run : study.runs) {
      if (!run.config) {
        text += fmt::format("  {:<34} cannot run: {}\n", run.name, run.problem);
        continue;
      }
      const auto found = seconds.find(group_key(study, run));
      const double time = found == seconds.end() ? 0 : found->second * static_cast<double>(steps_of(run));
      sum += time;
      text += fmt::format("  {:<34} {:>8} steps  {:>14}{}\n", run.name, steps_of(run),
                          found == seconds.end() ? "not timed" : duration_text(time),
                          run.branch_of.empty() ? "" : ", from " + run.branch_of);
    }
  }
  return text + fmt::format("{} of training in all, as steps take now; evaluations come on top\n", duration_text(sum));
}

int execute_plan(const io::Plan& plan, const fs::path& folder) {
  std::size_t count = 0, number = 0;
  for (const io::Study& study : plan.studies) count += study.runs.size();
  for (const io::Study& study : plan.studies) {
    for (const io::PlannedRun& run : study.runs) {
      ++number;
      if (!run.config) continue;
      if (interrupted_by() != 0) return 128 + interrupted_by();
      fmt::print(stderr, "[{}/{}] {}\n", number, count, run.name);
      try {
        if (const int code = train_run(study, run, folder / "runs"); code != 0) return code;
      } catch (const DivergedError& error) {
        warn(fmt::format("{} diverged: {}", run.name, error.what()));
      }
    }
  }
  return 0;
}

}  // namespace roap::bin
