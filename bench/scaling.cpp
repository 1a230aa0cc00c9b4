#include "bench/scaling.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/statistics.h"
#include "bench/steps.h"
#include "engine/device.h"

namespace roap::bench {

namespace {

struct Axis {
  const char* name;
  const char* key;
  std::vector<std::int64_t> values;
};

const std::vector<Axis>& all_axes() {
  static const std::vector<Axis> axes{
      {"tasks", "tasks.count", {16, 32, 63, 125, 250, 500, 1000, 2000}},
      {"pairs", "train.pairs_per_step", {64, 128, 256, 512, 1024, 2048, 4096, 8192}},
      {"lines", "model.lines", {3, 5, 10, 20, 30, 45, 60}},
      {"threads", "device.threads", {1, 2, 4, 8, 16, 32, 64}},
  };
  return axes;
}

/// Parts of a step and the operators in them.
struct StepPart {
  const char* name;
  std::vector<std::string> operators;
};

const std::vector<StepPart>& step_parts() {
  static const std::vector<StepPart> parts{
      {"grounder", {"conv2d", "batch_norm", "max_pool2d", "global_avg_pool", "image_batch"}},
      {"point_mlp", {"point_mlp"}},
      {"soft_exec", {"soft_exec"}},
      {"sampling", {"gumbel_softmax", "program_length"}},
      {"adam", {"adam_step", "gradient_guard"}},
  };
  return parts;
}

struct Point {
  double x = 0, seconds = 0, floor = 0;
};

/// Time and floor of a part ("": the whole step) of the steps named `name`.
Point point_of(const Report& report, const std::string& name, const std::vector<std::string>& operators, double x) {
  Point point{x, 0, 0};
  for (const Measurement& m : report.measurements) {
    const bool whole = operators.empty() && m.name == name;
    const bool part = std::any_of(operators.begin(), operators.end(),
                                  [&](const std::string& op) { return m.name.starts_with(name + ": " + op); });
    if (!whole && !part) continue;
    point.seconds += m.fastest();
    point.floor += m.floor;
  }
  return point;
}

void fit_part(Session& session, const std::string& axis, const std::string& part, const std::vector<Point>& points) {
  std::vector<double> x, seconds, floors;
  for (const Point& p : points) {
    if (!(p.seconds > 0 && p.floor > 0)) return;
    x.push_back(p.x);
    seconds.push_back(p.seconds);
    floors.push_back(p.floor);
  }
  if (x.size() < 2) return;
  const PowerLaw law = fit_power_law(x, seconds);
  // Threads divide the work; what they are expected to do is to divide the time.
  const double expected = axis == "threads" ? -1 : fit_power_law(x, floors).exponent;
  session.report().fits.push_back({axis, part, law.exponent, law.exponent_error, expected});
}

void run_axis(Session& session, const ScalingOptions& options, const Axis& axis, DeviceKind device, double seconds) {
  const std::int64_t threads = session.report().threads;
  const double end = session.seconds_left() - seconds;
  std::vector<std::pair<std::string, double>> done;
  double last = 0;
  for (std::size_t i = 0; i < axis.values.size(); ++i) {
    const std::int64_t value = axis.values[i];
    if (std::string(axis.key) == "device.threads" && value > threads) break;
    std::vector<std::string> settings{"tasks.count=32", "tasks.max_operators=4", "train.pairs_per_step=64",
                                      "model.lines=10", "model.width=256",       "train.runs=1",
                                      "train.samples=1"};
    settings.insert(settings.end(), options.settings.begin(), options.settings.end());
    settings.push_back(fmt::format("{}={}", axis.key, value));
    io::Config config = io::load_config(options.preset, settings);
    const std::string name = fmt::format("{} = {}", axis.name, value);
    const double growth = i > 0 ? static_cast<double>(value) / static_cast<double>(axis.values[i - 1]) : 1;
    constexpr double kSteps = 6;
    if (kSteps * growth * last > session.seconds_left() - end) {
      session.leave_out(name, "no time is left for it (--max-seconds)");
      break;
    }
    const bool along_threads = std::string(axis.key) == "device.threads";
    set_threads(static_cast<int>(along_threads ? value : threads));
    if (!time_steps(session, name, config, device, growth * last)) break;
    last = point_of(session.report(), name, {}, 0).seconds;
    done.emplace_back(name, static_cast<double>(value));
  }
  set_threads(static_cast<int>(threads));
  const auto fit = [&](const std::string& part, const std::vector<std::string>& operators) {
    std::vector<Point> points;
    for (const auto& [name, x] : done) points.push_back(point_of(session.report(), name, operators, x));
    fit_part(session, axis.name, part, points);
  };
  fit("step", {});
  for (const StepPart& part : step_parts()) fit(part.name, part.operators);
}

}  // namespace

void run_scaling(Session& session, const ScalingOptions& options) {
  std::vector<Axis> axes;
  for (const std::string& name : options.axes) {
    const auto axis = std::find_if(all_axes().begin(), all_axes().end(), [&](const Axis& a) { return name == a.name; });
    if (axis == all_axes().end()) {
      throw UsageError(fmt::format("--axis {}: expected tasks, pairs, lines or threads", name));
    }
    axes.push_back(*axis);
  }
  for (const DeviceKind device : session.devices()) {
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (device != DeviceKind::cpu && axes[i].name == std::string("threads")) continue;
      run_axis(session, options, axes[i], device, session.seconds_left() / static_cast<double>(axes.size() - i));
    }
  }
}

}  // namespace roap::bench
