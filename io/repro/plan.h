#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/config.h"

namespace roap::io {

/// What the paper reports of one model in its table 1.
struct PaperValues {
  int solved = 0;  ///< of kPaperTasks
  double symbolic_loss = 0, test_loss = 0, generalisation_loss = 0;
};
inline constexpr int kPaperTasks = 500;

/// Runs that differ in their seeds alone.
struct RunGroup {
  std::string id;
  std::vector<std::string> settings{};  ///< "section.key=value": what the group is about, over all other settings
  std::vector<std::string> recipe{};    ///< settings that suit it, over those of the study
  int runs = 1;
  bool own_tasks = false;      ///< every run draws tasks of its own
  std::string branch_of{};     ///< a group whose runs these go on from, at the moment the length prior begins
  std::string needs_branch{};  ///< not empty: the group keeps the checkpoint that those branches start from
};

/// A row of a table: the best run of all its groups.
struct ReproRow {
  std::string id, label;
  std::vector<std::string> groups;
  std::optional<PaperValues> paper;  ///< nothing: ours, not in the paper
  std::string reason;                ///< why there are no groups
};

struct PlannedRun {
  std::string name, group;  ///< the run's folder, and RunGroup::id
  std::int64_t seed = 0;
  std::vector<std::string> settings;  ///< all of them, over the study's preset
  std::optional<Config> config;       ///< nothing where this version cannot run it, for `problem`
  std::string problem;
  std::string branch_of;  ///< name of the run whose checkpoint it begins with
  std::int64_t branch_step = 0;
};

/// One data set's share of a plan.
struct Study {
  std::string id, title, preset;
  std::string note;  ///< what readers must know before they compare
  std::vector<std::string> settings;
  std::string problem;  ///< why nothing of it can run
  std::vector<RunGroup> groups;
  std::vector<ReproRow> table1, table2, figure5, figure6;
  std::vector<PlannedRun> runs;

  [[nodiscard]] std::vector<const PlannedRun*> runs_of(const ReproRow& row) const;
};

struct PlanOptions {
  std::string table = "all";    ///< table1, table2, figure5, figure6 or all
  std::string scale = "smoke";  ///< smoke, small or paper
  std::string data;             ///< cifar10:DIR; empty: data/cifar-10-batches-bin
  std::string device = "auto";
  std::int64_t threads = 0;
  std::vector<std::string> settings;  ///< of every run, over the recipes, under what the groups are about
};

struct Plan {
  PlanOptions options;
  std::vector<Study> studies;

  [[nodiscard]] bool has(std::string_view table) const { return options.table == "all" || options.table == table; }
};

/// What is to be run for the tables asked for. UsageError for a table or scale that is none; a setting or method that
/// this version lacks, or data that is not there, becomes the `problem` of what needs it.
Plan make_plan(const PlanOptions& options);

/// The first step that the length prior counts in: with train.lambda = 0 a run has the same bits up to there.
std::int64_t prior_step(const Config& config);

/// Names for options and messages.
std::span<const std::string> table_names();
std::span<const std::string> scale_names();

}  // namespace roap::io
