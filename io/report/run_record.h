#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/report/chart.h"
#include "io/run_folder.h"

namespace roap::io {

/// What the small files of a run folder say, read without touching it; the run may still be training.
struct RunRecord {
  std::string name;  ///< the folder's own, for headings and legends
  std::filesystem::path folder;
  Config config;
  std::optional<RunStatus> status;
  std::string command;                      ///< empty where unknown
  nlohmann::ordered_json environment;       ///< null where unknown
  std::vector<nlohmann::json> steps;        ///< step lines of metrics.jsonl
  std::vector<nlohmann::json> evaluations;  ///< evaluations during training and the final one
  nlohmann::json final;                     ///< the final evaluation; null before the end
  nlohmann::json programs;                  ///< rows of programs.json; null where there is none
  std::vector<std::string> problems;        ///< what is missing or damaged, and why

  [[nodiscard]] bool finished() const { return status && status->state == RunState::finished && final.is_object(); }
  /// The final evaluation, else the last one, else null.
  [[nodiscard]] const nlohmann::json& best_known() const;
  /// "finished, step 400", "being written ..."
  [[nodiscard]] std::string state_text() const;
};

/// Reads a run folder. CheckpointError where there is none, or where config.toml is damaged or of another version: then
/// nothing can be said about the run. Everything else that is missing or damaged becomes a line of `problems`.
RunRecord read_run_record(const std::filesystem::path& folder);

/// A number of a line, or nothing where it is absent or null (not finite).
std::optional<double> number_of(const nlohmann::json& line, const char* key);

/// The points (step, key) of some lines; lines without a number are left out.
std::vector<ChartPoint> points_of(const std::vector<nlohmann::json>& lines, const char* key);

}  // namespace roap::io
