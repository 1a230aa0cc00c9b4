#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/report/run_report.h"
#include "io/repro/judge.h"
#include "io/repro/plan.h"

namespace roap::io {

/// What became of one planned run.
struct RunOutcome {
  const PlannedRun* run = nullptr;
  std::optional<RunRecord> record;  ///< nothing where it has not begun
  std::string state;                ///< "finished", "not begun", "diverged ...", why it cannot run
  bool finished = false;
  std::optional<double> selection;  ///< the training loss that the best run is chosen by
};

/// A number beside the paper's.
struct Cell {
  CellNumbers numbers;
  std::string paper, ours, interval;  ///< as they are printed; never empty
  Judgement judgement;
};

struct RowResult {
  const ReproRow* row = nullptr;
  std::vector<const RunOutcome*> runs;
  const RunOutcome* best = nullptr;  ///< the finished run with the least training loss
  std::string reason;                ///< why there is no best
  std::vector<Cell> cells;           ///< of the table's columns
};

/// A table of shares: solved tasks by the operators of the hidden formula.
struct Figure5 {
  HeatTable table;
  std::vector<std::vector<std::string>> counts;  ///< "12 / 30", or the reason of an empty cell
};

/// A run with the length prior and its branch without.
struct Figure6Pair {
  const RunOutcome* with = nullptr;
  const RunOutcome* without = nullptr;
  std::string kind;    ///< good, salvageable, hopeless; or why it cannot be said
  std::string reason;  ///< the numbers behind it
};

struct StudyResult {
  const Study* study = nullptr;
  std::vector<RunOutcome> outcomes;
  std::vector<RowResult> table1, table2;
  Figure5 figure5;
  std::vector<Figure6Pair> figure6;
  std::vector<std::string> figure6_missing;  ///< kinds that no run was, as sentences
};

inline const std::vector<std::string> kTable1Columns = {"solved", "symbolic loss", "test loss", "generalisation loss"};
inline const std::vector<std::string> kTable2Columns = {"run success", "best symbolic loss"};

/// Reads the run folders under FOLDER/runs and judges every cell.
std::vector<StudyResult> collect_results(const Plan& plan, const std::filesystem::path& folder);

/// The runs of a row's groups and the best of them.
RowResult gather_row(const StudyResult& study, const ReproRow& row);

/// How the runs of figure 6 are told apart.
std::string figure6_protocol();

nlohmann::ordered_json results_json(const Plan& plan, const std::vector<StudyResult>& results);
std::string results_markdown(const Plan& plan, const std::vector<StudyResult>& results);

}  // namespace roap::io
