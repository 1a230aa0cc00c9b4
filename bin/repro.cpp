#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bin/repro_execute.h"
#include "bin/repro_options.h"
#include "bin/roap_commands.h"
#include "bin/roap_main.h"
#include "bin/roap_measure.h"
#include "engine/device.h"
#include "io/file_util.h"
#include "io/repro/repro_report.h"

namespace roap::bin {

namespace {

namespace fs = std::filesystem;

struct ReproArguments {
  io::PlanOptions options;
  std::string out;
  bool resume = false, plan_only = false;
};

std::string command_text(int argc, char** argv) {
  std::string text = "roap-repro";
  for (int i = 1; i < argc; ++i) text += " " + io::shell_quoted(argv[i]);
  return text;
}

fs::path new_folder(const ReproArguments& arguments) {
  const fs::path wanted = arguments.out.empty() ? io::first_free_path(fs::path("repro") / arguments.options.scale)
                                                : fs::path(arguments.out);
  io::create_output_folder(wanted);
  return wanted;
}

/// A resumed study has the options that it was begun with; one given again must be the same.
StudyFile resumed_study(const ReproArguments& arguments, const CLI::App& app) {
  if (arguments.out.empty()) throw UsageError("--resume goes on with a study's folder: say which with --out DIR");
  StudyFile file = read_study_file(arguments.out);
  const auto require = [&](const char* option, const auto& given, const auto& begun) {
    if (app.count(option) > 0 && given != begun) {
      throw UsageError(fmt::format("{} was begun with {} {}, not {}; leave it out or choose another --out",
                                   arguments.out, option, begun, given));
    }
  };
  require("table", arguments.options.table, file.options.table);
  require("--scale", arguments.options.scale, file.options.scale);
  require("--data", arguments.options.data, file.options.data);
  require("--device", arguments.options.device, file.options.device);
  require("--threads", arguments.options.threads, file.options.threads);
  require("--set", arguments.options.settings, file.options.settings);
  return file;
}

void write_reports(const io::Plan& plan, const fs::path& folder, const std::string& command, bool interrupted) {
  const std::vector<io::StudyResult> results = io::collect_results(plan, folder);
  nlohmann::ordered_json json = io::results_json(plan, results);
  json["command"] = command;
  json["version"] = kVersion;
  io::atomic_write(folder / "results.json", json.dump(1) + "\n");
  io::atomic_write(folder / "report.md", io::results_markdown(plan, results));
  const io::MeasureRun measure = [&](const std::string& name) {
    if (!interrupted) return measure_run((folder / "runs" / name).string(), "", "", false);
    io::RunMeasurements nothing;
    nothing.problem = "the study was interrupted; its end measures symbols";
    return nothing;
  };
  io::atomic_write(folder / "report.html", io::repro_report(plan, results, command, measure));
  fmt::print("{0}/report.html\n{0}/report.md\n{0}/results.json\n", folder.string());
}

int repro(const ReproArguments& arguments, const CLI::App& app, const std::string& command) {
  StudyFile file{arguments.options, command, {}};
  if (arguments.resume) file = resumed_study(arguments, app);
  const io::Plan plan = io::make_plan(file.options);
  catch_signals();
  if (file.step_seconds.empty()) file.step_seconds = measure_step_seconds(plan);
  if (interrupted_by() != 0) return 128 + interrupted_by();
  fmt::print("{}", plan_text(plan, file.step_seconds));
  std::fflush(stdout);
  if (arguments.plan_only) return 0;
  const fs::path folder = arguments.resume ? fs::path(arguments.out) : new_folder(arguments);
  const io::FileLock lock(folder / "LOCK");
  if (!arguments.resume) write_study_file(folder, file);
  const int code = execute_plan(plan, folder);
  write_reports(plan, folder, file.command, code != 0);
  if (code != 0)
    fmt::print(stderr, "interrupted; go on with: roap-repro {} --resume --out {}\n", file.options.table,
               folder.string());
  return code;
}

}  // namespace

}  // namespace roap::bin

int main(int argc, char** argv) {
  roap::restart_with_short_waits(argv);
  using namespace roap;
  CLI::App app("Trains and judges every model of the paper's tables and figures, and writes one report.", "roap-repro");
  app.set_version_flag("--version", bin::kVersion);
  app.footer(
      "Example: roap-repro all --scale smoke --out repro/first\n         roap-repro all --resume --out repro/first");
  bin::ReproArguments arguments;
  io::PlanOptions& options = arguments.options;
  app.add_option("table", options.table, fmt::format("{}", fmt::join(io::table_names(), ", ")))->required();
  app.add_option("--scale", options.scale, "smoke (minutes), small (hours) or paper (the published setting)")
      ->capture_default_str();
  app.add_option("--data", options.data, "cifar10:DIR, for the scales small and paper");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads; 0 is all cores")->capture_default_str();
  app.add_option("--set", options.settings, "section.key=value for every run; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--out", arguments.out, "folder of the study (default: a new one under repro/)");
  app.add_flag("--resume", arguments.resume, "go on with the study in --out");
  app.add_flag("--plan", arguments.plan_only, "print the plan with the time that every run takes, and stop");
  int exit_code = 0;
  const std::string command = bin::command_text(argc, argv);
  app.callback([&] { exit_code = bin::repro(arguments, app, command); });
  return bin::run_program(app, argc, argv, exit_code);
}
