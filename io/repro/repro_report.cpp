#include "io/repro/repro_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace roap::io {

namespace {

const char* verdict_style(Verdict verdict) {
  if (verdict == Verdict::reproduced || verdict == Verdict::ordering_holds) return "good";
  return verdict == Verdict::not_reproduced ? "bad" : "note";
}

Html scrolled(const Html& rows, const char* style) {
  return element("div", {{"class", "scroll"}}, element("table", {{"class", style}}, rows));
}

Html header(const std::vector<std::string>& names) {
  Html head;
  for (const std::string& name : names) head += element("th", name);
  return element("tr", head);
}

Html cell_html(const Cell& cell, const std::string& column) {
  const Verdict verdict = cell.judgement.verdict;
  Html lines = element("div", {{"class", "value"}}, text(cell.ours));
  if (cell.numbers.ours) lines += element("small", cell.interval);
  lines += element("small", (verdict == Verdict::ours ? "" : "paper: ") + cell.paper);
  lines += element("span", {{"class", verdict_style(verdict)}}, text(verdict_text(verdict)));
  if (verdict != Verdict::ours) lines += element("small", cell.judgement.reason);
  return element("td", {{"data-label", column}}, lines);
}

Html verdict_table(const std::vector<RowResult>& table, const std::vector<std::string>& columns) {
  std::vector<std::string> names{"model"};
  names.insert(names.end(), columns.begin(), columns.end());
  Html rows;
  for (const RowResult& row : table) {
    std::string note = row.best ? "run " + row.best->run->name : row.reason;
    if (row.runs.size() > 1) note += fmt::format(" (of {})", row.runs.size());
    Html cells = element("th", text(row.row->label) + element("small", note));
    for (std::size_t c = 0; c < columns.size(); ++c) cells += cell_html(row.cells[c], columns[c]);
    rows += element("tr", cells);
  }
  return scrolled(element("thead", header(names)) + element("tbody", rows), "facts verdicts");
}

std::string shown(const RunOutcome& outcome, const char* key) {
  const std::optional<double> value = outcome.finished ? number_of(outcome.record->final, key) : std::nullopt;
  return value ? short_number(*value) : "-";
}

std::string solved_text(const RunOutcome& outcome) {
  const std::string solved = shown(outcome, "solved");
  return outcome.finished ? solved + " / " + shown(outcome, "tasks") : solved;
}

bool is_chosen(const StudyResult& result, const RunOutcome& outcome) {
  return std::ranges::any_of(result.table1, [&](const RowResult& row) { return row.best == &outcome; });
}

Html runs_table(const StudyResult& result) {
  Html rows = header({"run", "state", "solved", "symbolic loss, test", "test loss", "generalisation", "training loss",
                      "length", "skipped steps", "seconds", "processor seconds"});
  for (const RunOutcome& outcome : result.outcomes) {
    Html cells = element("th", outcome.run->name + (is_chosen(result, outcome) ? " *" : ""));
    cells += element("td", outcome.state);
    cells += element("td", solved_text(outcome));
    for (const char* key : {"symbolic_loss_test", "test_loss", "generalisation_loss"})
      cells += element("td", shown(outcome, key));
    cells += element("td", outcome.selection ? short_number(*outcome.selection) : "-");
    for (const char* key : {"program_length", "skipped_steps", "seconds", "cpu_seconds"})
      cells += element("td", shown(outcome, key));
    rows += element("tr", cells);
  }
  return paragraph(
             "Every run; * marks those that a table reports: the least training loss of their row. A dash is a number "
             "that the run does not have.",
             "note") +
         scrolled(rows, "facts");
}

Html figure5_html(const Figure5& figure) {
  if (figure.table.rows.empty()) return paragraph("Not measured: no run has finished.", "note");
  Html rows;
  std::vector<std::string> names{figure.table.corner};
  names.insert(names.end(), figure.table.columns.begin(), figure.table.columns.end());
  rows += header(names);
  for (std::size_t r = 0; r < figure.counts.size(); ++r) {
    Html cells = element("th", figure.table.rows[r]);
    for (const std::string& count : figure.counts[r]) cells += element("td", count);
    rows += element("tr", cells);
  }
  return paragraph(
             "Share of solved tasks (percent) by operators of the hidden formula and lines of the sketch, each column "
             "of its best run. "
             "The paper gives this figure as a picture only: more lines solve more, and few lines solve the small "
             "formulas at best.",
             "note") +
         element("div", {{"class", "charts"}},
                 element("figure", element("figcaption", "Percent solved") + heat_table(figure.table)) +
                     element("figure", element("figcaption", "Solved of all tasks") + scrolled(rows, "facts")));
}

std::vector<nlohmann::json> up_to(const std::vector<nlohmann::json>& lines, double step) {
  std::vector<nlohmann::json> kept;
  std::ranges::copy_if(lines, std::back_inserter(kept),
                       [&](const nlohmann::json& line) { return number_of(line, "step").value_or(0) <= step; });
  return kept;
}

Html figure6_chart(const StudyResult& result, const char* title, const char* key) {
  constexpr int kDashed = 8;  // the same colour with dashes
  std::vector<Series> series;
  int style = 0;
  for (const Figure6Pair& pair : result.figure6) {
    if (pair.with == nullptr || !pair.with->record || !pair.without->record) continue;
    const auto shared = up_to(pair.with->record->evaluations, static_cast<double>(pair.without->run->branch_step));
    std::vector<ChartPoint> without = points_of(shared, key);
    const std::vector<ChartPoint> branch = points_of(pair.without->record->evaluations, key);
    without.insert(without.end(), branch.begin(), branch.end());
    const std::string name = fmt::format("seed {} ({})", pair.with->run->seed, pair.kind);
    series.push_back({name + ", with the prior", points_of(pair.with->record->evaluations, key), style});
    series.push_back({name + ", without", std::move(without), style + kDashed});
    style = (style + 1) % kDashed;
  }
  return line_chart({title, "step", "", false, true}, series);
}

Html figure6_html(const StudyResult& result) {
  Html rows = header({"run", "kind", "numbers"});
  for (const Figure6Pair& pair : result.figure6) {
    rows += element(
        "tr", element("th", pair.without->run->branch_of) + element("td", pair.kind) + element("td", pair.reason));
  }
  Html body = paragraph(figure6_protocol(), "note") +
              paragraph(
                  "Paper: a good run 431 to 455 solved and length 21.6 to 9.6; a salvageable one 4 to 412 solved and "
                  "symbolic loss 1.23 to 0.066; a hopeless one stays.",
                  "note");
  for (const std::string& missing : result.figure6_missing) body += paragraph(missing, "warn");
  return body +
         element("div", {{"class", "charts"}},
                 figure6_chart(result, "Tasks solved", "solved") +
                     figure6_chart(result, "Program length", "program_length") +
                     figure6_chart(result, "Symbolic loss, training images", "symbolic_loss_train")) +
         scrolled(rows, "facts");
}

/// Curves of a row's runs, and what its best run learned.
Html row_details(const RowResult& row, const MeasureRun& measure, bool with_gallery) {
  std::vector<const RunRecord*> records;
  for (const RunOutcome* run : row.runs) {
    if (run->record) records.push_back(&*run->record);
  }
  Html body = records.empty() ? paragraph("Not measured: " + row.reason, "note") : curves(records);
  if (row.best != nullptr) {
    const RunMeasurements measured = measure(row.best->run->name);
    body += element("h3", "Symbols of " + row.best->run->name) + symbols_block(measured);
    body += element("h3", "Tasks of " + row.best->run->name) +
            tasks_table(row.best->record->programs.is_array() ? row.best->record->programs : measured.programs);
    if (with_gallery) body += element("h3", "Gallery of " + row.best->run->name) + gallery_block(measured);
    body += element("h3", "Metrics") + metrics_table(records);
  }
  return element("details", element("summary", row.row->label) + body);
}

Html commands_html(const StudyResult& result) {
  std::string commands;
  const nlohmann::ordered_json* environment = nullptr;
  for (const RunOutcome& outcome : result.outcomes) {
    if (!outcome.record) continue;
    commands += outcome.record->command;
    if (outcome.record->environment.is_object()) environment = &outcome.record->environment;
  }
  Html rows;
  if (environment != nullptr) {
    for (const auto& [key, value] : environment->items()) {
      rows += element("tr",
                      element("th", key) + element("td", value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
  return scrolled(rows, "facts") +
         element("details", element("summary", "The same runs one by one") + element("pre", commands));
}

Html study_html(const StudyResult& result, const MeasureRun& measure) {
  const Study& study = *result.study;
  const std::string p = study.id + "-";
  Html body = paragraph(study.note, "note");
  if (!study.problem.empty()) body += paragraph("Not run: " + study.problem, "warn");
  if (!result.table1.empty())
    body += section(p + "table1", "Table 1: the models", verdict_table(result.table1, kTable1Columns));
  if (!result.table2.empty()) {
    const Html note = paragraph(
        "A run succeeds when its symbolic loss on test images is at most 0.05; the interval is Wilson's over runs.",
        "note");
    body +=
        section(p + "table2", "Table 2: many tasks against one", note + verdict_table(result.table2, kTable2Columns));
  }
  if (!study.figure5.empty())
    body +=
        section(p + "figure5", "Figure 5: solved tasks by program size and sketch depth", figure5_html(result.figure5));
  if (!study.figure6.empty()) body += section(p + "figure6", "Figure 6: the length prior", figure6_html(result));
  body += section(p + "runs", "All runs", runs_table(result));
  Html details;
  for (const auto* table : {&result.table1, &result.table2}) {
    for (const RowResult& row : *table) details += row_details(row, measure, &row == &table->front());
  }
  if (!details.empty()) body += section(p + "details", "Curves, symbols and tasks of every row", details);
  body += section(p + "commands", "Environment and commands", commands_html(result));
  return element("h2", study.title) + body;
}

Html progress_note(const std::vector<StudyResult>& results) {
  std::size_t finished = 0, all = 0, cannot = 0;
  for (const StudyResult& result : results) {
    for (const RunOutcome& outcome : result.outcomes) {
      ++all;
      finished += outcome.finished ? 1 : 0;
      cannot += outcome.run->problem.empty() ? 0 : 1;
    }
  }
  const std::string words =
      fmt::format("{} of {} planned runs have finished{}.", finished, all,
                  cannot > 0 ? fmt::format("; {} cannot run here, for reasons that stand in the tables", cannot) : "");
  return paragraph((finished + cannot < all ? "Partial report. " : "") + words, finished + cannot < all ? "warn" : "");
}

}  // namespace

std::string repro_report(const Plan& plan, const std::vector<StudyResult>& results, const std::string& command,
                         const MeasureRun& measure) {
  Html links, studies;
  for (const StudyResult& result : results) {
    const auto link = [&](bool there, const char* part, const char* words) {
      if (there)
        links += element("a", {{"href", fmt::format("#{}-{}", result.study->id, part)}},
                         text(results.size() > 1 ? fmt::format("{}: {}", result.study->id, words) : words));
    };
    link(!result.table1.empty(), "table1", "Table 1");
    link(!result.table2.empty(), "table2", "Table 2");
    link(!result.study->figure5.empty(), "figure5", "Figure 5");
    link(!result.study->figure6.empty(), "figure6", "Figure 6");
    link(true, "runs", "All runs");
    studies += study_html(result, measure);
  }
  Html top = progress_note(results) + element("nav", links) + element("pre", command);
  top += element("details", element("summary", "How verdicts are given") + paragraph(verdict_rule()));
  return html_page(fmt::format("Reproduction at scale {}: {}", plan.options.scale, plan.options.table), top + studies);
}

}  // namespace roap::io
