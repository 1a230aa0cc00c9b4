#include <fmt/format.h>

#include "io/repro/results.h"

// The same results for programs (JSON) and for people without a browser (Markdown).

namespace roap::io {

namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json cell_json(const Cell& cell) {
  Json json{{"paper", or_null(cell.numbers.paper)}, {"ours", or_null(cell.numbers.ours)}, {"interval", nullptr}};
  if (cell.numbers.interval) json["interval"] = {cell.numbers.interval->low, cell.numbers.interval->high};
  json["verdict"] = verdict_text(cell.judgement.verdict);
  json["reason"] = cell.judgement.reason;
  json["text"] = {{"paper", cell.paper}, {"ours", cell.ours}, {"interval", cell.interval}};
  return json;
}

Json table_json(const std::vector<RowResult>& table, const std::vector<std::string>& columns) {
  Json rows = Json::array();
  for (const RowResult& row : table) {
    Json json{{"id", row.row->id},
              {"label", row.row->label},
              {"runs", Json::array()},
              {"best", nullptr},
              {"cells", Json::object()}};
    for (const RunOutcome* run : row.runs) json["runs"].push_back(run->run->name);
    if (row.best != nullptr) json["best"] = row.best->run->name;
    if (!row.reason.empty()) json["reason"] = row.reason;
    for (std::size_t c = 0; c < columns.size(); ++c) json["cells"][columns[c]] = cell_json(row.cells[c]);
    rows.push_back(std::move(json));
  }
  return rows;
}

Json run_json(const RunOutcome& outcome) {
  Json json{{"name", outcome.run->name},    {"group", outcome.run->group},
            {"seed", outcome.run->seed},    {"state", outcome.state},
            {"finished", outcome.finished}, {"selection_loss", or_null(outcome.selection)}};
  json["settings"] = outcome.run->settings;
  if (!outcome.run->branch_of.empty()) {
    json["branch_of"] = outcome.run->branch_of;
    json["branch_step"] = outcome.run->branch_step;
  }
  json["metrics"] = outcome.finished ? Json(outcome.record->final) : Json(nullptr);
  json["environment"] = outcome.record ? outcome.record->environment : Json(nullptr);
  return json;
}

Json figure5_json(const Figure5& figure) {
  Json json{{"operators", figure.table.rows},
            {"lines", figure.table.columns},
            {"solved", figure.counts},
            {"share", Json::array()}};
  for (const std::vector<double>& row : figure.table.cells) {
    Json shares = Json::array();
    for (const double share : row) shares.push_back(share >= 0 ? Json(share) : Json(nullptr));
    json["share"].push_back(std::move(shares));
  }
  return json;
}

std::string table_markdown(const std::vector<RowResult>& table, const std::vector<std::string>& columns) {
  std::string text = "| model | " + fmt::format("{}", columns[0]);
  for (std::size_t c = 1; c < columns.size(); ++c) text += " | " + columns[c];
  text += " |\n| --- ";
  for (std::size_t c = 0; c < columns.size(); ++c) text += "| --- ";
  text += "|\n";
  for (const RowResult& row : table) {
    text += "| " + row.row->label;
    for (const Cell& cell : row.cells) {
      const Verdict verdict = cell.judgement.verdict;
      const std::string paper = verdict == Verdict::ours ? cell.paper : "paper " + cell.paper;
      if (!cell.numbers.ours) {
        text += fmt::format(" | not measured: {}; {}", cell.judgement.reason, paper);
        continue;
      }
      text += fmt::format(" | **{}** ({}); {}", cell.ours, cell.interval, paper);
      if (verdict != Verdict::ours) text += fmt::format("; {}: {}", verdict_text(verdict), cell.judgement.reason);
    }
    text += " |\n";
  }
  return text + "\n";
}

std::string figure5_markdown(const Figure5& figure) {
  std::string text = "| operators \\ lines";
  for (const std::string& lines : figure.table.columns) text += " | " + lines;
  text += " |\n| --- ";
  for (std::size_t c = 0; c < figure.table.columns.size(); ++c) text += "| --- ";
  text += "|\n";
  for (std::size_t r = 0; r < figure.counts.size(); ++r) {
    text += "| " + figure.table.rows[r];
    for (const std::string& count : figure.counts[r]) text += " | " + count;
    text += " |\n";
  }
  return text + "\n";
}

std::string runs_markdown(const StudyResult& result) {
  constexpr const char* kKeys[] = {
      "solved",        "tasks",  "symbolic_loss_test", "test_loss", "generalisation_loss", "program_length",
      "skipped_steps", "seconds"};
  std::string text =
      "| run | state | training loss | solved | tasks | symbolic loss, test | test loss | generalisation | length | "
      "skipped | seconds |\n";
  text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const RunOutcome& outcome : result.outcomes) {
    text += fmt::format("| {} | {} | {}", outcome.run->name, outcome.state,
                        outcome.selection ? short_number(*outcome.selection) : "-");
    for (const char* key : kKeys) {
      const std::optional<double> value = outcome.finished ? number_of(outcome.record->final, key) : std::nullopt;
      text += " | " + (value ? short_number(*value) : "-");
    }
    text += " |\n";
  }
  return text + "\n";
}

}  // namespace

Json results_json(const Plan& plan, const std::vector<StudyResult>& results) {
  Json json{{"format", 1},
            {"scale", plan.options.scale},
            {"table", plan.options.table},
            {"verdict_rule", verdict_rule()},
            {"studies", Json::array()}};
  for (const StudyResult& result : results) {
    Json study{{"id", result.study->id},
               {"title", result.study->title},
               {"note", result.study->note},
               {"preset", result.study->preset},
               {"settings", result.study->settings}};
    if (!result.study->problem.empty()) study["problem"] = result.study->problem;
    study["table1"] = table_json(result.table1, kTable1Columns);
    study["table2"] = table_json(result.table2, kTable2Columns);
    study["figure5"] = figure5_json(result.figure5);
    study["figure6"] = {
        {"protocol", figure6_protocol()}, {"pairs", Json::array()}, {"missing", result.figure6_missing}};
    for (const Figure6Pair& pair : result.figure6) {
      study["figure6"]["pairs"].push_back({{"with_prior", pair.without->run->branch_of},
                                           {"without_prior", pair.without->run->name},
                                           {"kind", pair.kind},
                                           {"reason", pair.reason}});
    }
    study["runs"] = Json::array();
    for (const RunOutcome& outcome : result.outcomes) study["runs"].push_back(run_json(outcome));
    json["studies"].push_back(std::move(study));
  }
  return json;
}

std::string results_markdown(const Plan& plan, const std::vector<StudyResult>& results) {
  std::string text =
      fmt::format("# Reproduction at scale {}: {}\n\n{}\n\n", plan.options.scale, plan.options.table, verdict_rule());
  for (const StudyResult& result : results) {
    text += fmt::format("## {}\n\n{}\n\n", result.study->title, result.study->note);
    if (!result.study->problem.empty()) text += fmt::format("Not run: {}\n\n", result.study->problem);
    if (!result.table1.empty()) text += "### Table 1\n\n" + table_markdown(result.table1, kTable1Columns);
    if (!result.table2.empty()) text += "### Table 2\n\n" + table_markdown(result.table2, kTable2Columns);
    if (!result.study->figure5.empty()) {
      text +=
          "### Figure 5: solved tasks\n\n" +
          (result.figure5.counts.empty() ? "Not measured: no run has finished.\n\n" : figure5_markdown(result.figure5));
    }
    if (!result.study->figure6.empty()) {
      text += "### Figure 6: the length prior\n\n" + figure6_protocol() + "\n\n";
      for (const Figure6Pair& pair : result.figure6)
        text += fmt::format("- {}: {}: {}\n", pair.without->run->branch_of, pair.kind, pair.reason);
      for (const std::string& missing : result.figure6_missing) text += "- " + missing + "\n";
      text += "\n";
    }
    text += "### All runs\n\n" + runs_markdown(result);
  }
  return text;
}

}  // namespace roap::io
