#include "io/repro/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "io/file_util.h"
#include "io/repro/scales.h"
#include "io/suggest.h"
#include "kernels/common/error.h"

namespace roap::io {

namespace {

const std::array<std::string, 5> kTables = {"table1", "table2", "figure5", "figure6", "all"};
const std::array<std::string, 3> kScales = {"smoke", "small", "paper"};

void require_name(const char* what, const std::string& name, std::span<const std::string> known) {
  if (std::ranges::find(known, name) != known.end()) return;
  throw UsageError(
      fmt::format("unknown {} \"{}\"{}; there are {}", what, name, suggestion(name, known), fmt::join(known, ", ")));
}

bool uses(const std::vector<ReproRow>& rows, const std::string& group) {
  return std::ranges::any_of(
      rows, [&](const ReproRow& row) { return std::ranges::find(row.groups, group) != row.groups.end(); });
}

/// Only the tables asked for, and the groups that they need.
void select(Study& study, const Plan& plan) {
  if (!plan.has("table1")) study.table1.clear();
  if (!plan.has("table2")) study.table2.clear();
  if (!plan.has("figure5")) study.figure5.clear();
  if (!plan.has("figure6")) study.figure6.clear();
  std::erase_if(study.groups, [&](const RunGroup& group) {
    return !uses(study.table1, group.id) && !uses(study.table2, group.id) && !uses(study.figure5, group.id) &&
           !uses(study.figure6, group.id);
  });
  for (RunGroup& group : study.groups) {
    if (std::ranges::find(study.groups, group.needs_branch, &RunGroup::id) == study.groups.end())
      group.needs_branch.clear();
  }
}

/// The branch point must be a checkpoint, and so all of them are kept; there are a few on the way to it.
std::vector<std::string> branch_point_settings(const Config& config) {
  constexpr std::int64_t kMostOnTheWay = 5;
  std::int64_t parts = kMostOnTheWay;
  const std::int64_t step = prior_step(config);
  while (step % parts != 0) --parts;
  return {"checkpoint.keep=0", fmt::format("checkpoint.every_steps={}", step / parts)};
}

const RunGroup& group_of(const Study& study, const std::string& id) {
  return *std::ranges::find(study.groups, id, &RunGroup::id);
}

PlannedRun plan_run(const Study& study, const RunGroup& group, std::int64_t seed, const PlanOptions& options) {
  PlannedRun run;
  run.name = fmt::format("{}-{}-seed{}", study.id, group.id, seed);
  run.group = group.id;
  run.seed = seed;
  run.settings = study.settings;
  const auto add = [&](const std::vector<std::string>& more) {
    run.settings.insert(run.settings.end(), more.begin(), more.end());
  };
  const RunGroup* parent = group.branch_of.empty() ? nullptr : &group_of(study, group.branch_of);
  if (parent != nullptr) add(parent->recipe);
  add(group.recipe);
  add(options.settings);
  if (parent != nullptr) add(parent->settings);
  add(group.settings);
  add({fmt::format("train.seed={}", seed), fmt::format("device.name={}", options.device),
       fmt::format("device.threads={}", options.threads)});
  if (group.own_tasks) add({fmt::format("tasks.seed={}", seed)});
  run.problem = study.problem;
  try {
    Config config = load_config(study.preset, run.settings);
    if (group.needs_branch.empty()) {
      run.config = std::move(config);
    } else {
      add(branch_point_settings(config));
      run.config = load_config(study.preset, run.settings);
    }
    if (!group.branch_of.empty()) {
      run.branch_of = fmt::format("{}-{}-seed{}", study.id, group.branch_of, seed);
      run.branch_step = prior_step(*run.config);
    }
  } catch (const UsageError& error) {
    if (run.problem.empty()) run.problem = error.what();
  }
  if (!run.problem.empty()) run.config.reset();
  return run;
}

}  // namespace

std::span<const std::string> table_names() { return kTables; }
std::span<const std::string> scale_names() { return kScales; }

std::int64_t prior_step(const Config& config) {
  return static_cast<std::int64_t>(std::ceil(config.train.lambda_from * static_cast<double>(total_steps(config))));
}

std::vector<const PlannedRun*> Study::runs_of(const ReproRow& row) const {
  std::vector<const PlannedRun*> found;
  for (const PlannedRun& run : runs) {
    if (std::ranges::find(row.groups, run.group) != row.groups.end()) found.push_back(&run);
  }
  return found;
}

Plan make_plan(const PlanOptions& options) {
  require_name("table", options.table, kTables);
  require_name("scale", options.scale, kScales);
  if (options.scale == "smoke" && !options.data.empty()) {
    throw UsageError("--data is for the scales small and paper: smoke runs on the digits that are built in");
  }
  Plan plan{options, studies_of_scale(options.scale, options.data)};
  for (Study& study : plan.studies) {
    select(study, plan);
    for (const RunGroup& group : study.groups) {
      for (std::int64_t seed = 0; seed < group.runs; ++seed)
        study.runs.push_back(plan_run(study, group, seed, options));
    }
  }
  for (const std::string& setting : options.settings) {
    Config ignored;
    apply_setting(ignored, setting);  // a mistyped one is the user's, not a row's
  }
  return plan;
}

}  // namespace roap::io
