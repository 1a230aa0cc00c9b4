#include "bench/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>

#include "bench/experiments.h"
#include "bench/statistics.h"
#include "engine/device.h"
#include "engine/roofline.h"
#include "kernels/common/error.h"
#include "models/trainer.h"

namespace roap::bench {

namespace {

/// Bytes that programs can still take, 0 where nobody knows.
double available_bytes(const Backend& backend, DeviceKind device) {
  if (device == DeviceKind::cuda) return static_cast<double>(backend.free_bytes());
  std::ifstream info("/proc/meminfo");
  for (std::string key, unit; info >> key;) {
    double kilobytes = 0;
    info >> kilobytes >> unit;
    if (key == "MemAvailable:") return 1024 * kilobytes;
  }
  return 0;
}

/// Steps of one trainer: the seconds of the whole and of each kind of operator, step by step.
class StepTimer {
 public:
  StepTimer(Trainer& trainer, DeviceKind device, const Ceilings& ceilings) : trainer_(trainer), device_(device) {
    trainer_.executor().start_counting();
    trainer_.step();  // touches all memory
    const auto& nodes = trainer_.graph().nodes();
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const Work& work = trainer_.executor().node_work()[n];
      Part& part = parts_[std::string(nodes[n].op->type())];
      for (Part* sum : {&part, &whole_}) {
        sum->work.flop += work.flop;
        sum->work.bytes += work.bytes;
        sum->work.dense_flop += work.dense();
        sum->floor += floor_seconds(work, ceilings);
        ++sum->nodes;
      }
    }
    trainer_.executor().stop_counting();
  }

  struct Part {
    Work work;
    double floor = 0;
    int nodes = 0;
    std::vector<double> seconds;
  };
  [[nodiscard]] const std::map<std::string, Part>& parts() const { return parts_; }
  [[nodiscard]] const Part& whole() const { return whole_; }
  /// Steps that were not finite, so that their update was left out and took no time.
  [[nodiscard]] int skipped() const { return skipped_; }
  void forget_times() {
    for (auto& [type, part] : parts_) part.seconds.clear();
  }

  /// Seconds of one step. On the CPU its nodes are timed at the same time, which costs nothing; on a GPU that would
  /// keep the step from being replayed as a graph.
  double step() {
    if (device_ == DeviceKind::cpu) return timed_step();
    return seconds_of([&] {
      trainer_.step();
      trainer_.executor().backend().synchronize();
    });
  }
  double timed_step() {
    Executor& executor = trainer_.executor();
    executor.start_timing();
    const double seconds = seconds_of([&] { skipped_ += trainer_.step().skipped ? 1 : 0; });
    std::map<std::string, double> sums;
    const auto& nodes = trainer_.graph().nodes();
    for (std::size_t n = 0; n < nodes.size(); ++n) sums[std::string(nodes[n].op->type())] += executor.node_seconds()[n];
    for (const auto& [type, sum] : sums) parts_[type].seconds.push_back(sum);
    executor.stop_timing();
    return seconds;
  }

 private:
  Trainer& trainer_;
  DeviceKind device_;
  int skipped_ = 0;
  std::map<std::string, Part> parts_;
  Part whole_;
};

void add_part(Session& session, const std::string& name, const StepTimer::Part& part, std::vector<double> seconds,
              DeviceKind device, double bytes, std::map<std::string, double> sizes) {
  Measurement m;
  m.name = name;
  m.seconds = std::move(seconds);
  m.work = part.work;
  m.floor = part.floor;
  m.bytes = bytes;
  m.launches = part.nodes;
  m.sizes = std::move(sizes);
  session.add(std::move(m), device);
}

std::map<std::string, double> sizes_of(const io::Config& config, double step_seconds) {
  return {{"pairs", static_cast<double>(config.train.pairs_per_step)},
          {"tasks", static_cast<double>(config.tasks.count)},
          {"lines", static_cast<double>(config.model.lines)},
          {"pairs_per_second", static_cast<double>(config.train.pairs_per_step) / step_seconds},
          {"full_run_seconds", static_cast<double>(all_steps(config)) * step_seconds}};
}

}  // namespace

bool time_steps(Session& session, const std::string& name, const io::Config& config, DeviceKind device,
                double expected_seconds) {
  // The first step, the two of the warm-up, and as many as tell anything.
  constexpr double kLeastSteps = 6;
  if (kLeastSteps * expected_seconds > session.seconds_left()) {
    session.leave_out(name, fmt::format("would take {:.0f} s and {:.0f} s are left (--max-seconds)",
                                        kLeastSteps * expected_seconds, std::max(0.0, session.seconds_left())));
    return false;
  }
  Session::say(fmt::format("{} on {}", name, to_string(device)));
  const io::Experiment experiment = load_or_imitate(config);
  Model model(config, problem_shape(*experiment.benchmark.train), device);
  std::optional<Trainer> planned;
  try {
    planned.emplace(model, *experiment.benchmark.train);
  } catch (const DeviceError& error) {  // the plan is larger than the card's memory
    session.leave_out(name, error.what());
    return false;
  }
  Trainer& trainer = *planned;
  const MemoryPlan& plan = trainer.executor().plan();
  const double bytes = static_cast<double>(plan.arena_bytes + model.store().bytes());
  const double available = available_bytes(trainer.executor().backend(), device);
  constexpr double kMostOfMemory = 0.9;
  if (available > 0 && static_cast<double>(plan.arena_bytes) > kMostOfMemory * available) {
    session.leave_out(
        name, fmt::format("needs {:.1f} GiB and {:.1f} GiB are free", bytes / (1 << 30), available / (1 << 30)));
    return false;
  }
  StepTimer timer(trainer, device, session.ceilings(device));
  Effort effort = session.options().effort;
  effort.cold = false;  // a step is larger than the caches
  effort.seconds = 0;
  effort.most_seconds = std::min(effort.most_seconds, session.seconds_left());
  std::vector<double> seconds = time_in_turns({{name, [&] { return timer.step(); }}}, effort)[0];
  if (device == DeviceKind::cuda) {
    timer.forget_times();
    for (std::size_t i = 0; i < seconds.size(); ++i) timer.timed_step();
  }
  auto sizes = sizes_of(config, median(seconds));
  sizes["skipped_steps"] = timer.skipped();
  if (timer.skipped() > 0) {
    session.leave_out(fmt::format("{}: the update of {} steps", name, timer.skipped()), "they were not finite");
  }
  add_part(session, name, timer.whole(), std::move(seconds), device, bytes, sizes);
  for (const auto& [type, part] : timer.parts()) {
    add_part(session, fmt::format("{}: {}", name, type), part, part.seconds, device, 0, {});
  }
  return true;
}

void run_steps(Session& session, const StepOptions& options) {
  const auto config_of = [&](const std::string& preset, std::vector<std::string> settings) {
    settings.insert(settings.end(), options.settings.begin(), options.settings.end());
    settings.push_back("train.runs=1");  // a step takes as long in each of them
    io::Config config = io::load_config(preset, settings);
    config.device.threads = session.report().threads;
    return config;
  };
  for (const std::string& preset : options.presets) {
    for (const DeviceKind device : session.devices()) {
      if (preset != "paper") {
        time_steps(session, preset, config_of(preset, {}), device, 0);
        continue;
      }
      double per_pair = 0;
      for (const std::int64_t pairs : options.pairs) {
        const std::string name = fmt::format("paper, {} pairs", pairs);
        const io::Config config = config_of(preset, {fmt::format("train.pairs_per_step={}", pairs)});
        if (!time_steps(session, name, config, device, per_pair * static_cast<double>(pairs))) continue;
        const auto& all = session.report().measurements;
        const auto whole = std::find_if(all.rbegin(), all.rend(), [&](const Measurement& m) { return m.name == name; });
        per_pair = median(whole->seconds) / static_cast<double>(pairs);
      }
    }
  }
}

}  // namespace roap::bench
