#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "bench/ops.h"
#include "bench/page.h"
#include "bench/regressions.h"
#include "bench/scaling.h"
#include "bench/search.h"
#include "bench/steps.h"
#include "engine/device.h"
#include "io/file_util.h"

namespace roap::bench {

namespace {

/// Beside the codes of kernels/common/error.h.
constexpr int kRegressionOrWrong = 1;

struct Arguments {
  Options options;
  std::string json, compare, html;
  double least = 0.1;
  bool warm = false;
  OpsOptions ops;
  StepOptions steps;
  SearchBenchOptions search;
  ScalingOptions scaling;
};

void add_common(CLI::App& command, Arguments& a) {
  command.add_option("--device", a.options.device, "all, cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--threads", a.options.threads, "CPU threads; 0 is all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  command.add_flag("--processor-time", a.options.processor_time,
                   "processor time of one thread instead of the clock, for a machine where other programs run");
  command.add_option("--repetitions", a.options.effort.repetitions, "of each measurement, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command.add_option("--seconds", a.options.effort.most_seconds, "of all repetitions of one thing, at most")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  command.add_option("--max-seconds", a.options.max_seconds, "of the whole call; the rest is left out, said so")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  command.add_option("--json", a.json, "FILE for all results")->type_name("FILE");
  command.add_option("--html", a.html, "FILE for a page with charts and all figures")->type_name("FILE");
  command.add_option("--compare", a.compare, "FILE that --json wrote earlier: exit code 1 where something got slower")
      ->type_name("FILE");
  command.add_option("--least", a.least, "share by which a median must grow to count as slower")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
}

void write_file(const std::string& path, const std::string& text) {
  io::OutputFile file(path);
  file.write(text);
  file.sync_and_close();
}

/// Writes and prints what was asked for; gives the exit code.
int finish(const Arguments& a, const Report& report) {
  fmt::print("{}", text_of(report));
  if (!a.json.empty()) write_file(a.json, to_json(report).dump(1) + "\n");
  if (!a.html.empty()) write_file(a.html, page_of(report));
  bool regression = false;
  if (!a.compare.empty()) {
    const std::vector<Change> changes = compare(read_report(a.compare), report, a.least);
    fmt::print("\n{}", text_of(changes));
    for (const Change& change : changes) regression |= change.regression;
  }
  return regression || !report.wrong.empty() ? kRegressionOrWrong : 0;
}

CLI::App* add_command(CLI::App& app, Arguments& a, int& exit_code, const char* name, const char* description,
                      const char* example, const std::function<void(Session&)>& run) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer(fmt::format("Example: {}", example));
  add_common(*command, a);
  command->callback([&a, &exit_code, name, run] {
    a.options.effort.cold = !a.warm;
    if (!a.compare.empty() && read_report(a.compare).processor_time != a.options.processor_time) {
      throw UsageError(fmt::format("--compare {}: measured by another clock (--processor-time)", a.compare));
    }
    Session session(name, a.options);
    run(session);
    session.report().peak_resident_bytes = static_cast<double>(peak_resident_bytes());
    exit_code = finish(a, session.report());
  });
  return command;
}

void add_commands(CLI::App& app, Arguments& a, int& exit_code) {
  CLI::App* ops = add_command(app, a, exit_code, "ops", "Every operator, forward and backward, beside oneDNN",
                              "roap-bench ops --filter conv2d", [&a](Session& s) { run_ops(s, a.ops); });
  ops->add_option("--filter", a.ops.filter, "part of operator/case");
  ops->add_flag("--warm", a.warm, "leave the CPU's private caches as they are between runs");
  ops->add_flag("!--no-check", a.ops.check, "do not compare outputs with the reference first (takes a minute)");
  ops->add_flag("!--no-peers", a.ops.peers, "time ours alone");
  CLI::App* steps =
      add_command(app, a, exit_code, "step", "Whole training steps of the presets and of paper shapes",
                  "roap-bench step --preset paper --pairs 64,256", [&a](Session& s) { run_steps(s, a.steps); });
  steps->add_option("--preset", a.steps.presets, "digits, cifar-small, paper or FILE.toml, several with commas")
      ->delimiter(',')
      ->capture_default_str();
  steps->add_option("--pairs", a.steps.pairs, "pairs per step of the paper preset, several with commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  steps->add_option("--set", a.steps.settings, "section.key=value for all of them")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  CLI::App* search =
      add_command(app, a, exit_code, "search", "Formula search and the formula pool, by number of operators",
                  "roap-bench search --max-operators 4", [&a](Session& s) { run_search(s, a.search); });
  search->add_option("--max-operators", a.search.max_operators, "largest formulas")
      ->capture_default_str()
      ->check(CLI::Range(1, 8));
  CLI::App* scaling = add_command(
      app, a, exit_code, "scaling", "How a step grows with tasks, pairs, lines and threads, beside the counted work",
      "roap-bench scaling --axis pairs,lines --html scaling.html", [&a](Session& s) { run_scaling(s, a.scaling); });
  scaling->add_option("--axis", a.scaling.axes, "tasks, pairs, lines, threads, several with commas")
      ->delimiter(',')
      ->capture_default_str();
  scaling->add_option("--preset", a.scaling.preset, "of the base point")->capture_default_str();
  scaling->add_option("--set", a.scaling.settings, "section.key=value of the base point")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

int fail(ExitCode code, const std::string& message) {
  fmt::print(stderr, "roap-bench: {}\n", message);
  return static_cast<int>(code);
}

int run(int argc, char** argv) {
  CLI::App app("Measures how fast roap is: operators, training steps, search and how cost grows.", "roap-bench");
  app.footer(
      "Exit codes: 0 done, 1 something got slower (--compare) or an output was wrong, 2 usage, 3 data, 5 device or "
      "memory.");
  app.require_subcommand(1);
  Arguments arguments;
  int exit_code = 0;
  add_commands(app, arguments, exit_code);
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return fail(ExitCode::usage, fmt::format("{}. See: roap-bench --help", error.what()));
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::device, "out of memory");
  } catch (const std::exception& error) {
    return fail(ExitCode::device, fmt::format("unexpected error: {}", error.what()));
  }
}

}  // namespace

}  // namespace roap::bench

int main(int argc, char** argv) {
  roap::restart_with_short_waits(argv);
  return roap::bench::run(argc, argv);
}
