#include "io/repro/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

namespace roap::io {

namespace {

constexpr double kGood = 0.5;  // share of solved tasks

struct Count {
  int solved = 0, tasks = 0;
};

/// Operators that a formula's text has: every one is infix.
int operators_of(const std::string& formula) {
  return static_cast<int>(std::ranges::count_if(formula, [](char c) { return c == '+' || c == '-' || c == '*'; }));
}

std::map<int, Count> solved_by_size(const RunRecord& record) {
  std::map<int, Count> counts;
  for (const nlohmann::json& row : record.programs.is_array() ? record.programs : nlohmann::json::array()) {
    Count& count = counts[operators_of(row["gold"].get<std::string>())];
    ++count.tasks;
    count.solved += row.value("solved", false) ? 1 : 0;
  }
  return counts;
}

/// Share of solved tasks at the end, or in the last evaluation up to a step.
std::optional<double> solved_share(const RunOutcome& run, std::int64_t until) {
  std::optional<double> share;
  if (!run.record) return share;
  for (const nlohmann::json& line : run.record->evaluations) {
    const auto step = number_of(line, "step"), solved = number_of(line, "solved"), tasks = number_of(line, "tasks");
    if (step && solved && tasks && *step <= static_cast<double>(until)) share = *solved / *tasks;
  }
  return share;
}

void say_kind(Figure6Pair& pair) {
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  if (pair.with == nullptr || pair.without == nullptr || !pair.with->finished || !pair.without->finished) {
    pair.kind = "not measured";
    pair.reason = pair.without == nullptr   ? "no branch"
                  : !pair.without->finished ? pair.without->state
                                            : pair.with->state;
    return;
  }
  const std::optional<double> before = solved_share(*pair.with, pair.without->run->branch_step);
  const double with = solved_share(*pair.with, kEnd).value_or(0),
               without = solved_share(*pair.without, kEnd).value_or(0);
  pair.kind = without >= kGood ? "good" : with >= kGood ? "salvageable" : "hopeless";
  pair.reason = fmt::format("solved {} before, {:.0f} % with the prior, {:.0f} % without",
                            before ? fmt::format("{:.0f} %", 100 * *before) : "unknown", 100 * with, 100 * without);
}

}  // namespace

void fill_figure5(StudyResult& result) {
  if (result.study->figure5.empty()) return;
  std::vector<std::map<int, Count>> columns;
  std::vector<std::string> reasons;
  std::map<int, bool> sizes;
  HeatTable& table = result.figure5.table;
  table.corner = "operators \\ lines";
  table.empty = "-";
  for (const ReproRow& row : result.study->figure5) {
    const RunOutcome* best = gather_row(result, row).best;
    columns.push_back(best ? solved_by_size(*best->record) : std::map<int, Count>{});
    reasons.emplace_back(best ? "no such task" : "no finished run");
    const std::string lines = best ? std::to_string(best->record->config.model.lines) : row.label;
    table.columns.push_back(lines);
    for (const auto& [size, count] : columns.back()) sizes[size] = true;
  }
  for (const auto& [size, unused] : sizes) {
    table.rows.push_back(std::to_string(size));
    std::vector<double>& shares = table.cells.emplace_back();
    std::vector<std::string>& counts = result.figure5.counts.emplace_back();
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto found = columns[c].find(size);
      const bool known = found != columns[c].end();
      shares.push_back(known ? static_cast<double>(found->second.solved) / found->second.tasks : -1);
      counts.push_back(known ? fmt::format("{} / {}", found->second.solved, found->second.tasks) : reasons[c]);
    }
  }
}

void fill_figure6(StudyResult& result) {
  if (result.study->figure6.empty()) return;
  for (const RunOutcome& branch : result.outcomes) {
    if (branch.run->branch_of.empty()) continue;
    Figure6Pair pair;
    pair.without = &branch;
    for (const RunOutcome& run : result.outcomes) {
      if (run.run->name == branch.run->branch_of) pair.with = &run;
    }
    say_kind(pair);
    result.figure6.push_back(std::move(pair));
  }
  for (const char* kind : {"good", "salvageable", "hopeless"}) {
    const bool found = std::ranges::any_of(result.figure6, [&](const Figure6Pair& pair) { return pair.kind == kind; });
    if (!found) result.figure6_missing.push_back(fmt::format("No {} run among these {}.", kind, result.figure6.size()));
  }
}

std::string figure6_protocol() {
  return fmt::format(
      "Every ROAP run is branched: its checkpoint at the first step that the length prior counts in (half of the run, "
      "the paper's epoch 10) goes on "
      "once with the prior and once without, with the same random numbers. A run is good when it ends with at least "
      "{0:.0f} % of the tasks solved without "
      "the prior, salvageable when it does so only with it, and hopeless when it does so with neither. No run is "
      "chosen by hand: all of them are shown.",
      100 * kGood);
}

}  // namespace roap::io
