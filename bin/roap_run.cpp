#include "bin/roap_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "bin/roap_progress.h"
#include "io/metrics_log.h"
#include "io/model_files.h"

namespace roap::bin {

namespace {

constexpr int kMaxRollbacks = 10;  // then the run has diverged for good

volatile std::sig_atomic_t signal_received = 0;

void on_signal(int signal) {
  signal_received = signal;
  std::signal(signal, SIG_DFL);
}

/// Is something to be done every `every` steps (0: never) due after `step` steps?
bool due(std::uint64_t step, std::int64_t every) { return every > 0 && step % static_cast<std::uint64_t>(every) == 0; }

/// What is annealed, for the progress line.
std::string annealing_text(const Config& config, const StepReport& report) {
  const MethodParts parts = method_parts(config);
  if (parts.head) return fmt::format("rate {:.1e}", report.rate);
  return parts.programs ? fmt::format("sharpness {:.2f}", report.sharpness)
                        : fmt::format("temperature {:.3f}", report.temperature);
}

/// The one line that says how far a run is.
std::string headline(const Evaluation& e) {
  if (e.solved && e.train) {
    return fmt::format("{} of {} tasks solved, symbolic loss {:.5f}, {:.1f} % of the symbols right", *e.solved,
                       e.tasks.size(), e.train->loss, 100 * e.train->right);
  }
  return fmt::format("{:.4f} of y's variance left on test pairs, {:.4f} on training pairs", e.test_loss.normalised,
                     e.train_loss.normalised);
}

EvaluationOptions quick_evaluation() {
  EvaluationOptions options;
  options.max_images = 1000;
  options.verdicts = false;
  options.decision_pairs = 512;
  options.train_pairs = 256;
  return options;
}

EvaluationOptions final_evaluation() {
  EvaluationOptions options;
  options.new_tasks = GeneralisationOptions{}.tasks;
  return options;
}

}  // namespace

void catch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

int interrupted_by() { return signal_received; }

TrainingRun::TrainingRun(io::RunFolder folder, io::Config config, io::Experiment experiment, DeviceKind device)
    : folder_(std::move(folder)),
      config_(std::move(config)),
      experiment_(std::move(experiment)),
      model_(config_, problem_shape(*experiment_.benchmark.train), device),
      trainer_(model_, *experiment_.benchmark.train),
      solved_(static_cast<std::size_t>(config_.tasks.count), false) {}

TrainingRun::~TrainingRun() = default;

void TrainingRun::resume(const io::Checkpoint& checkpoint) {
  io::restore_model(checkpoint, model_, true);
  trainer_.restore(io::restore_state(checkpoint));
  saved_step_ = trainer_.state().step;
  before_ = io::trained_time(checkpoint);
  finished_before_ = saved_step_ == trainer_.total_steps() && folder_.read_status().state == io::RunState::finished;
  io::truncate_metrics(folder_.metrics_path(), checkpoint.info.step);
}

void TrainingRun::branch(const io::Checkpoint& checkpoint) {
  resume(checkpoint);
  saved_step_.reset();  // the new folder does not have it yet
}

io::TrainingTime TrainingRun::time() const {
  return {before_.wall + monotonic_seconds() - started_.wall,
          before_.processor + processor_seconds() - started_.processor};
}

int TrainingRun::run(const TrainingOptions& options) {
  options_ = options;
  if (interrupted_by() == 0) catch_signals();
  started_ = {monotonic_seconds(), processor_seconds()};
  progress_ = std::make_unique<Progress>(trainer_.state().step, trainer_.total_steps(), config_.train.pairs_per_step);
  folder_.write_status({io::RunState::running, static_cast<std::int64_t>(trainer_.state().step)});
  save();  // what a rollback or an early resume starts from, unless it is there already
  bool completed = false;
  try {
    completed = train();
  } catch (const DivergedError&) {
    progress_->finish();
    folder_.write_status({io::RunState::diverged, static_cast<std::int64_t>(trainer_.state().step)});
    throw;
  }
  progress_->finish();
  save();
  if (!completed) {
    folder_.write_status({io::RunState::interrupted, static_cast<std::int64_t>(trainer_.state().step)});
    fmt::print(stderr, "interrupted at step {}; saved. Go on with: roap resume {}\n", trainer_.state().step,
               folder_.path().string());
    return 128 + interrupted_by();
  }
  finish();
  return 0;
}

bool TrainingRun::train() {
  const std::size_t lag = model_.store().device() == DeviceKind::cuda ? Trainer::kMostInFlight - 1 : 0;
  while (trainer_.state().step < trainer_.total_steps() && interrupted_by() == 0) {
    if (trainer_.at_run_end()) end_run();
    trainer_.submit();
    // What looks at weights needs all steps done; between such moments a device may stay one step ahead of its reports.
    const std::uint64_t step = trainer_.state().step;
    const bool stop =
        due(step, config_.log.eval_every_steps) || due(step, config_.checkpoint.every_steps) || trainer_.at_run_end();
    while (trainer_.in_flight() > (stop ? 0 : lag)) after_step(trainer_.collect());
  }
  while (trainer_.in_flight() > 0) after_step(trainer_.collect());
  if (trainer_.at_run_end() && interrupted_by() == 0) end_run();
  return !trainer_.at_run_end() && trainer_.state().step == trainer_.total_steps();
}

void TrainingRun::end_run() {
  const std::uint64_t run = trainer_.state().run;
  const Trainer::RunEnd end = trainer_.end_run();
  std::fill(solved_.begin(), solved_.end(), false);
  std::string text = fmt::format("start {} of {}: training loss {:.4f}", run + 1, config_.train.runs, end.loss);
  if (end.chosen)
    text += fmt::format("; start {} has the least, {:.4f}, and goes on", end.best->run + 1, end.best->loss);
  progress_->note(text);
  saved_step_.reset();  // the same step has other weights now
}

void TrainingRun::after_step(const StepReport& report) {
  const TrainerState& state = trainer_.state();
  progress_->update(report.step, report.loss, annealing_text(config_, report));
  if (!report.gauge.is_identity())
    progress_->note(fmt::format("step {}: re-gauged, {}", report.step, report.gauge.text()));
  if (report.skipped) {
    progress_->note(fmt::format("step {}: skipped, loss or gradient is not finite: {}", report.step, report.diagnosis));
    if (config_.train.on_nan == "stop") {
      throw DivergedError(
          fmt::format("step {}: not finite ({}) and train.on_nan is stop", report.step, report.diagnosis));
    }
    if (config_.train.on_nan == "rollback" ||
        state.skips_in_a_row >= static_cast<std::uint64_t>(config_.train.max_skips)) {
      return roll_back(report.diagnosis);
    }
  }
  if (report.skipped || due(report.step, config_.log.every_steps)) log_step(report);
  if (trainer_.in_flight() > 0) return;
  if (due(report.step, config_.log.eval_every_steps) && report.step != trainer_.total_steps()) evaluate_and_log(false);
  if (due(report.step, config_.checkpoint.every_steps)) save();
}

void TrainingRun::roll_back(const std::string& reason) {
  if (++rollbacks_ > kMaxRollbacks) {
    throw DivergedError(
        fmt::format("the run went back to its last checkpoint {} times and still meets only non-finite steps ({}). "
                    "Lower train.lr or set "
                    "train.clip",
                    kMaxRollbacks, reason));
  }
  const auto warn = [&](const std::string& message) { progress_->note(message); };
  while (trainer_.in_flight() > 0) trainer_.collect();
  const io::Checkpoint checkpoint = io::load_newest_intact(folder_.path(), warn, io::config_sha256(config_));
  const std::uint64_t epoch = trainer_.state().random_epoch + 1;
  const std::uint64_t skipped = trainer_.state().skipped_steps;
  io::restore_model(checkpoint, model_, true);
  TrainerState state = io::restore_state(checkpoint);
  state.random_epoch = epoch;
  state.skipped_steps = skipped;
  state.skips_in_a_row = 0;
  trainer_.restore(state);
  saved_step_ = state.step;
  io::truncate_metrics(folder_.metrics_path(), checkpoint.info.step);
  progress_->note(fmt::format("went back to step {} with new random numbers", state.step));
}

void TrainingRun::log_step(const StepReport& report) {
  io::MetricsLog(folder_.metrics_path())
      .append({{"step", report.step},
               {"loss", report.loss},
               {"error", report.mean_error},
               {"gradient_norm", report.gradient_norm},
               {"length", report.mean_length},
               {"sharpness", report.sharpness},
               {"lr", report.rate},
               {"run", trainer_.state().run},
               {"skipped_steps", trainer_.state().skipped_steps}});
}

void TrainingRun::evaluate_and_log(bool final) {
  EvaluationOptions options = final ? final_evaluation() : quick_evaluation();
  evaluation_ = std::make_unique<Evaluation>(evaluate(model_, experiment_.benchmark, experiment_.pool, options));
  for (std::size_t t = 0; t < evaluation_->tasks.size(); ++t) {
    const TaskResult& task = evaluation_->tasks[t];
    const bool solved = task.solved.value_or(false);
    if (solved && !solved_[t] && !options_.quiet) {
      progress_->note(fmt::format("  solved task {:>3}: y = {}", t, task.formula ? task.formula->text : "MLP"));
    }
    solved_[t] = solved;
  }
  progress_->note(fmt::format("step {}: {}", trainer_.state().step, headline(*evaluation_)));
  nlohmann::ordered_json line = result_json(*evaluation_, trainer_.state(), time(), folder_.path().string());
  line["step"] = trainer_.state().step;
  line["kind"] = final ? "final" : "evaluation";
  if (final && finished_before_) return;  // that line is there already
  io::MetricsLog(folder_.metrics_path()).append(line);
}

void TrainingRun::save() {
  if (saved_step_ == trainer_.state().step) return;
  io::save_checkpoint(folder_.path(), model_, trainer_.state(), static_cast<int>(config_.checkpoint.keep), time());
  saved_step_ = trainer_.state().step;
}

void TrainingRun::finish() {
  const io::TrainingTime trained = time();
  evaluate_and_log(true);
  folder_.write_programs(programs_json(*evaluation_));
  folder_.write_status({io::RunState::finished, static_cast<std::int64_t>(trainer_.state().step)});
  if (options_.quiet) return;
  if (options_.json) {
    fmt::print("{}\n", result_json(*evaluation_, trainer_.state(), trained, folder_.path().string()).dump());
    return;
  }
  fmt::print("{}\n{}\nRun: {} ({} steps in {:.0f} s, {} skipped)\n", formulas_text(*evaluation_, options_.formulas),
             summary_text(*evaluation_), folder_.path().string(), trainer_.state().step, trained.wall,
             trainer_.state().skipped_steps);
}

}  // namespace roap::bin
