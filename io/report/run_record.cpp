#include "io/report/run_record.h"

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {

namespace {

constexpr bool kNoThrow = false;

/// A file that the report can do without: its absence or damage becomes a line of `problems`.
void read_optional(RunRecord& record, const char* name, const std::function<void(const std::string&)>& use) {
  try {
    use(read_file(record.folder / name));
  } catch (const Error& error) {
    record.problems.emplace_back(error.what());
  } catch (const nlohmann::json::exception& error) {
    record.problems.push_back(
        fmt::format("{}: not readable as JSON: {}", (record.folder / name).string(), error.what()));
  }
}

void take_line(RunRecord& record, nlohmann::json line) {
  if (!line.contains("kind")) {
    record.steps.push_back(std::move(line));
    return;
  }
  if (line["kind"] == "final") record.final = line;
  record.evaluations.push_back(std::move(line));
}

void read_metrics(RunRecord& record, std::string_view text) {
  std::size_t damaged = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const bool torn = end == std::string_view::npos;  // the last line, while it is being written
    nlohmann::json line = nlohmann::json::parse(text.substr(0, end), nullptr, kNoThrow);
    text.remove_prefix(torn ? text.size() : end + 1);
    if (number_of(line, "step")) {
      take_line(record, std::move(line));
    } else if (!torn) {
      ++damaged;
    }
  }
  if (damaged > 0) {
    record.problems.push_back(
        fmt::format("{}: {} lines are damaged and left out", (record.folder / "metrics.jsonl").string(), damaged));
  }
}

/// Rows without the fields that the report shows are no use.
void take_programs(RunRecord& record, nlohmann::json rows) {
  bool good = rows.is_array();
  for (const nlohmann::json& row : good ? rows : nlohmann::json::array()) {
    good = good && row.is_object() && row.contains("verdict") && row["verdict"].is_string();
    // A method without programs has no formula, measured data has no hidden one.
    for (const char* key : {"gold", "formula"})
      good = good && row.contains(key) && (row[key].is_string() || row[key].is_null());
  }
  if (good) {
    record.programs = std::move(rows);
  } else {
    record.problems.push_back(
        fmt::format("{}: not a list of tasks; left out", (record.folder / "programs.json").string()));
  }
}

std::string folder_name(const std::filesystem::path& folder) {
  std::filesystem::path path = folder.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  return name.empty() || name == "." || name == ".." ? std::filesystem::absolute(folder).lexically_normal().string()
                                                     : name;
}

}  // namespace

std::optional<double> number_of(const nlohmann::json& line, const char* key) {
  if (!line.is_object()) return std::nullopt;
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::vector<ChartPoint> points_of(const std::vector<nlohmann::json>& lines, const char* key) {
  std::vector<ChartPoint> points;
  for (const nlohmann::json& line : lines) {
    const std::optional<double> step = number_of(line, "step");
    const std::optional<double> value = number_of(line, key);
    if (step && value) points.push_back({*step, *value});
  }
  return points;
}

const nlohmann::json& RunRecord::best_known() const {
  static const nlohmann::json none;
  if (final.is_object()) return final;
  return evaluations.empty() ? none : evaluations.back();
}

std::string RunRecord::state_text() const {
  if (!status) return "in an unknown state";
  switch (status->state) {
    case RunState::finished:
      return fmt::format("finished at step {}", status->step);
    case RunState::interrupted:
      return fmt::format("interrupted at step {}; roap resume goes on", status->step);
    case RunState::diverged:
      return fmt::format("diverged at step {}", status->step);
    case RunState::running:
      break;
  }
  return "still being written (or its process was killed): this is what was there";
}

RunRecord read_run_record(const std::filesystem::path& folder) {
  const RunFolder run = RunFolder::open(folder, RunFolder::Access::read);
  RunRecord record;
  record.folder = folder;
  record.name = folder_name(folder);
  record.config = run.read_config();
  try {
    record.status = run.read_status();
  } catch (const CheckpointError& error) {
    record.problems.emplace_back(error.what());
  }
  read_optional(record, "command.txt", [&](const std::string& text) { record.command = text; });
  read_optional(record, "environment.json",
                [&](const std::string& text) { record.environment = nlohmann::ordered_json::parse(text); });
  if (is_present(run.metrics_path())) {
    read_optional(record, "metrics.jsonl", [&](const std::string& text) { read_metrics(record, text); });
  } else {
    record.problems.push_back(fmt::format("{}: nothing was logged yet", run.metrics_path().string()));
  }
  if (is_present(folder / "programs.json")) {
    read_optional(record, "programs.json",
                  [&](const std::string& text) { take_programs(record, nlohmann::json::parse(text)); });
  }
  return record;
}

}  // namespace roap::io
