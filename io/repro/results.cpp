#include "io/repro/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/file_util.h"
#include "io/repro/figures.h"
#include "kernels/common/error.h"

namespace roap::io {

namespace {

constexpr double kRunSuccess = 0.05;  // of the symbolic loss

/// Mean training error of a run's last tenth, for a run whose evaluation has no training loss.
std::optional<double> last_training_error(const RunRecord& record) {
  const std::vector<ChartPoint> points = points_of(record.steps, "error");
  if (points.empty()) return std::nullopt;
  const std::size_t count = std::max<std::size_t>(1, points.size() / 10);
  double sum = 0;
  for (std::size_t i = points.size() - count; i < points.size(); ++i) sum += points[i].y;
  return sum / static_cast<double>(count);
}

RunOutcome outcome_of(const PlannedRun& run, const std::filesystem::path& folder) {
  RunOutcome outcome;
  outcome.run = &run;
  if (!run.problem.empty()) {
    outcome.state = "cannot run: " + run.problem;
    return outcome;
  }
  const std::filesystem::path path = folder / "runs" / run.name;
  if (!is_present(path / "config.toml")) {
    outcome.state = "not begun";
    return outcome;
  }
  try {
    outcome.record = read_run_record(path);
  } catch (const Error& error) {
    outcome.state = std::string("not readable: ") + error.what();
    return outcome;
  }
  outcome.finished = outcome.record->finished();
  outcome.state = outcome.record->state_text();
  if (!outcome.finished) return outcome;
  outcome.selection = number_of(outcome.record->final, "train_loss");
  if (!outcome.selection) outcome.selection = last_training_error(*outcome.record);
  return outcome;
}

const RunOutcome* best_of(const std::vector<const RunOutcome*>& runs) {
  const RunOutcome* best = nullptr;
  for (const RunOutcome* run : runs) {
    if (!run->finished) continue;
    const double loss = run->selection.value_or(INFINITY);
    if (best == nullptr || loss < best->selection.value_or(INFINITY)) best = run;
  }
  return best;
}

std::string reason_without_best(const RowResult& row) {
  if (!row.row->reason.empty()) return row.row->reason;
  if (row.runs.empty()) return "no runs were planned";
  return "no run has finished: " + row.runs.front()->state;
}

std::string range_text(const std::vector<const RunOutcome*>& runs, const char* key) {
  double low = INFINITY, high = -INFINITY;
  int count = 0;
  for (const RunOutcome* run : runs) {
    if (!run->finished) continue;
    const std::optional<double> value = number_of(run->record->final, key);
    if (!value) continue;
    low = std::min(low, *value);
    high = std::max(high, *value);
    ++count;
  }
  if (count == 0) return "no run has it";
  return count == 1 ? "one run" : fmt::format("{} to {} over {} runs", short_number(low), short_number(high), count);
}

void fill_shown(Cell& cell, const std::string& reason) {
  cell.judgement = judge(cell.numbers);
  if (!cell.numbers.ours) {
    cell.ours = cell.interval = "not measured";
    if (!reason.empty()) cell.judgement.reason = reason;
  }
}

/// A share with its Wilson interval; `of` is positive.
void set_share(Cell& cell, int count, int of) {
  cell.numbers.ours = static_cast<double>(count) / of;
  cell.numbers.interval = wilson_interval(count, of);
  cell.interval =
      fmt::format("{:.0f} to {:.0f} %", 100 * cell.numbers.interval->low, 100 * cell.numbers.interval->high);
}

Cell solved_cell(const RowResult& row) {
  Cell cell;
  cell.numbers.is_share = true;
  cell.paper = "not in the paper";
  if (row.row->paper) {
    cell.numbers.paper = static_cast<double>(row.row->paper->solved) / kPaperTasks;
    cell.paper = fmt::format("{} / {}", row.row->paper->solved, kPaperTasks);
  }
  const nlohmann::json none;
  const nlohmann::json& line = row.best ? row.best->record->final : none;
  const std::optional<double> solved = number_of(line, "solved"), tasks = number_of(line, "tasks");
  if (solved && tasks && *tasks > 0) {
    set_share(cell, static_cast<int>(*solved), static_cast<int>(*tasks));
    cell.ours = fmt::format("{} / {}", *solved, *tasks);
  }
  return cell;
}

Cell loss_cell(const RowResult& row, const char* key, double PaperValues::*paper) {
  Cell cell;
  cell.paper = "not in the paper";
  if (row.row->paper) {
    cell.numbers.paper = (*row.row->paper).*paper;
    cell.paper = short_number(*cell.numbers.paper);
  }
  if (row.best) cell.numbers.ours = number_of(row.best->record->final, key);
  if (cell.numbers.ours) {
    cell.ours = short_number(*cell.numbers.ours);
    cell.interval = range_text(row.runs, key);
  }
  return cell;
}

/// Compares every row with the first one. `unmeasured` is why a cell has no number where its row has one.
void judge_rows(std::vector<RowResult>& table, bool paper_scale, const std::string& unmeasured) {
  if (table.empty()) return;
  const std::vector<Cell> first = table[0].cells;
  for (RowResult& row : table) {
    for (std::size_t c = 0; c < row.cells.size(); ++c) {
      CellNumbers& numbers = row.cells[c].numbers;
      numbers.paper_roap = first[c].numbers.paper;
      numbers.ours_roap = first[c].numbers.ours;
      numbers.roap_interval = first[c].numbers.interval;
      numbers.paper_scale = paper_scale;
      numbers.is_roap = &row == &table[0];
      fill_shown(row.cells[c], row.reason.empty() ? unmeasured : row.reason);
    }
  }
}

void fill_table1(StudyResult& result, bool paper_scale) {
  for (const ReproRow& row : result.study->table1) {
    RowResult gathered = gather_row(result, row);
    gathered.cells = {solved_cell(gathered), loss_cell(gathered, "symbolic_loss_test", &PaperValues::symbolic_loss),
                      loss_cell(gathered, "test_loss", &PaperValues::test_loss),
                      loss_cell(gathered, "generalisation_loss", &PaperValues::generalisation_loss)};
    result.table1.push_back(std::move(gathered));
  }
  judge_rows(result.table1, paper_scale, "the evaluation has no such number");
}

/// Runs that found the symbols: by the evaluation's own word, or by the paper's criterion.
bool is_success(const RunOutcome& run) {
  const nlohmann::json& line = run.record->final;
  const auto found = line.find("run_success");
  if (found != line.end() && found->is_boolean()) return found->get<bool>();
  return number_of(line, "symbolic_loss_test").value_or(INFINITY) <= kRunSuccess;
}

Cell success_cell(const RowResult& row, double paper) {
  Cell cell;
  cell.numbers.is_share = true;
  cell.numbers.paper = paper;
  cell.paper = fmt::format("{:.1f} %", 100 * paper);
  int finished = 0, successes = 0;
  for (const RunOutcome* run : row.runs) {
    // A run that diverged is a run that failed.
    const bool diverged = run->record && run->record->status && run->record->status->state == RunState::diverged;
    finished += run->finished || diverged ? 1 : 0;
    successes += run->finished && is_success(*run) ? 1 : 0;
  }
  if (finished > 0) {
    set_share(cell, successes, finished);
    cell.ours = fmt::format("{} of {} runs, {:.0f} %", successes, finished, 100 * *cell.numbers.ours);
  }
  return cell;
}

Cell best_symbols_cell(const RowResult& row, double paper) {
  Cell cell;
  cell.numbers.paper = paper;
  cell.paper = short_number(paper);
  for (const RunOutcome* run : row.runs) {
    if (!run->finished) continue;
    const std::optional<double> loss = number_of(run->record->final, "symbolic_loss_test");
    if (loss && *loss < cell.numbers.ours.value_or(INFINITY)) cell.numbers.ours = loss;
  }
  if (cell.numbers.ours) {
    cell.ours = short_number(*cell.numbers.ours);
    cell.interval = range_text(row.runs, "symbolic_loss_test");
  }
  return cell;
}

void fill_table2(StudyResult& result, bool paper_scale) {
  constexpr double kManySuccess = 0.333, kOneSuccess = 0.105;  // paper, table 2
  constexpr double kManySymbols = 0.00086, kOneSymbols = 0.039;
  for (const ReproRow& row : result.study->table2) {
    RowResult gathered = gather_row(result, row);
    const bool one = row.id == "one";
    gathered.cells = {success_cell(gathered, one ? kOneSuccess : kManySuccess),
                      best_symbols_cell(gathered, one ? kOneSymbols : kManySymbols)};
    result.table2.push_back(std::move(gathered));
  }
  judge_rows(result.table2, paper_scale, "");
}

}  // namespace

RowResult gather_row(const StudyResult& study, const ReproRow& row) {
  RowResult result;
  result.row = &row;
  for (const RunOutcome& outcome : study.outcomes) {
    if (std::ranges::find(row.groups, outcome.run->group) != row.groups.end()) result.runs.push_back(&outcome);
  }
  result.best = best_of(result.runs);
  if (result.best == nullptr) result.reason = reason_without_best(result);
  return result;
}

std::vector<StudyResult> collect_results(const Plan& plan, const std::filesystem::path& folder) {
  const bool paper_scale = plan.options.scale == "paper";
  std::vector<StudyResult> results;
  results.reserve(plan.studies.size());
  for (const Study& study : plan.studies) {
    StudyResult& result = results.emplace_back();
    result.study = &study;
    for (const PlannedRun& run : study.runs) result.outcomes.push_back(outcome_of(run, folder));
    fill_table1(result, paper_scale);
    fill_table2(result, paper_scale);
    fill_figure5(result);
    fill_figure6(result);
  }
  return results;
}

}  // namespace roap::io
