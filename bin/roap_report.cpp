#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "bin/roap_measure.h"
#include "io/file_util.h"

namespace roap::bin {

namespace {

struct ReportArguments {
  std::vector<std::string> runs;
  std::string out, title, data, device;
};

std::string title_of(const std::vector<io::ReportedRun>& runs) {
  return runs.size() == 1 ? runs[0].record.name : fmt::format("{} runs", runs.size());
}

/// The file to write: RUN/report.html, or for several runs the one that --out names.
std::filesystem::path output_file(const ReportArguments& arguments) {
  if (!arguments.out.empty()) return arguments.out;
  if (arguments.runs.size() > 1) {
    throw UsageError("a report of several runs belongs to none of them: say where it goes with --out FILE.html");
  }
  return std::filesystem::path(arguments.runs[0]) / "report.html";
}

int report(const ReportArguments& arguments) {
  const std::filesystem::path out = output_file(arguments);
  std::vector<io::ReportedRun> runs;
  for (const std::string& path : arguments.runs) {
    io::ReportedRun& run = runs.emplace_back();
    run.record = io::read_run_record(path);
    for (const std::string& problem : run.record.problems) warn(problem);
    run.measurements = measure_run(path, arguments.data, arguments.device, !run.record.programs.is_array());
    if (!run.measurements.problem.empty()) warn("no symbols and no gallery: " + run.measurements.problem);
    if (!run.record.finished()) warn(fmt::format("{} is {}", path, run.record.state_text()));
  }
  io::atomic_write(out, io::run_report(arguments.title.empty() ? title_of(runs) : arguments.title, runs));
  fmt::print("{}\n", out.string());
  return 0;
}

}  // namespace

void add_report_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand("report", "One HTML page about runs: curves, symbols, tasks, a gallery");
  command->footer("Example: roap report runs/first\n         roap report runs/first runs/second --out compared.html");
  command->add_option("runs", arguments->runs, "run folders; several are laid over each other")->required();
  command->add_option("--out", arguments->out, "the page (default: report.html in the run's folder)");
  command->add_option("--title", arguments->title, "heading of the page");
  command->add_option("--data", arguments->data, "images, where they are not where the run had them");
  command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N instead of the runs' own");
  command->callback([=, &exit_code] { exit_code = report(*arguments); });
}

}  // namespace roap::bin
