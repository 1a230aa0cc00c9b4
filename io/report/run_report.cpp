#include "io/report/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/base64.h"

namespace roap::io {

namespace {

/// A metric of `roap eval --json`: its name and what it means. Older runs lack some.
struct Metric {
  const char* key;
  const char* label;
};

constexpr Metric kMetrics[] = {
    {"tasks", "tasks"},
    {"solved", "tasks solved (equal to y on all test pairs)"},
    {"solved_exact", "tasks proved equal to the hidden formula"},
    {"synthesised_solved", "tasks solved by the synthesizer alone"},
    {"symbols_right_train", "nearest level right, training images"},
    {"symbols_right_test", "nearest level right, test images"},
    {"symbolic_loss_train", "symbolic loss, training images"},
    {"symbolic_loss_test", "symbolic loss, test images"},
    {"symbolic_loss_train_class_means", "symbolic loss of class means, training images"},
    {"symbolic_loss_test_class_means", "symbolic loss of class means, test images"},
    {"symbols", "symbols are"},
    {"gauge", "best linear map to the true symbols"},
    {"train_loss", "loss of the programs on training pairs"},
    {"train_loss_normalised", "the same, normalised"},
    {"test_loss", "test loss"},
    {"test_loss_normalised", "test loss, normalised"},
    {"test_loss_solved", "test loss of solved tasks"},
    {"test_loss_unsolved", "test loss of unsolved tasks"},
    {"test_loss_normalised_solved", "test loss of solved tasks, normalised"},
    {"test_loss_normalised_unsolved", "test loss of unsolved tasks, normalised"},
    {"generalisation_loss", "generalisation loss"},
    {"generalisation_loss_normalised", "generalisation loss, normalised"},
    {"generalisation_tasks", "new tasks of the generalisation loss"},
    {"program_length", "program length (operators)"},
    {"formula_length", "the same, simplified"},
    {"run_success", "run success (symbolic loss on test images at most 0.05)"},
    {"run_success_strict", "strict run success (90 % of the training images right)"},
    {"steps", "steps"},
    {"skipped_steps", "skipped steps"},
    {"seconds", "seconds"},
    {"cpu_seconds", "processor seconds"},
};

std::string value_text(const nlohmann::json& line, const char* key) {
  const auto found = line.is_object() ? line.find(key) : line.end();
  if (!line.is_object() || found == line.end() || found->is_null()) return "not measured";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_boolean()) return found->get<bool>() ? "yes" : "no";
  if (found->is_number_integer()) return std::to_string(found->get<std::int64_t>());
  if (found->is_number()) return short_number(found->get<double>());
  if (found->is_object() && number_of(*found, "a") && number_of(*found, "b")) {
    const double b = *number_of(*found, "b");
    return fmt::format("s -> {:.2f} s {} {:.2f}", *number_of(*found, "a"), b < 0 ? "-" : "+", std::abs(b));
  }
  return found->dump();
}

std::string data_uri(const Image& image) { return "data:image/png;base64," + base64(encode_png(image, "gallery")); }

Html curve(const std::vector<const RunRecord*>& runs, const ChartAxes& axes, const char* key, bool of_evaluations) {
  std::vector<Series> series;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& lines = of_evaluations ? runs[i]->evaluations : runs[i]->steps;
    series.push_back({runs[i]->name, points_of(lines, key), static_cast<int>(i)});
  }
  return line_chart(axes, series);
}

std::string task_kind(const nlohmann::json& row) {
  const auto is_true = [&](const char* key) { return row.contains(key) && row[key] == true; };
  if (is_true("solved_exact")) return "proved";
  return is_true("solved") ? "solved" : "unsolved";
}

Html task_row(const nlohmann::json& row, std::size_t index) {
  const std::string kind = task_kind(row);
  const bool known = !row["gold"].is_null();
  std::string name = row.contains("task") ? row["task"].dump() : std::to_string(index);
  if (row.contains("name")) name += " " + row["name"].get<std::string>();
  const auto cell = [](const char* label, const std::string& words, const char* style) {
    return element("td", {{"data-label", label}, {"class", style}}, text(words));
  };
  Html cells = cell("task", name, "");
  cells += cell("learned", row["formula"].is_string() ? row["formula"].get<std::string>() : "none", "formula");
  cells += cell("hidden", known ? row["gold"].get<std::string>() : "not known", known ? "formula" : "");
  cells += cell("verdict", row["verdict"].get<std::string>(), !known ? "" : kind == "unsolved" ? "bad" : "good");
  cells += cell("operators", value_text(row, "operators"), "");
  cells += cell("test loss, normalised", value_text(row, "test_loss_normalised"), "");
  return element("tr", {{"data-kind", kind}}, cells);
}

Html filter_box() {
  const auto option = [](const char* value, const char* words) {
    return element("option", {{"value", value}}, text(words));
  };
  return element("div", {{"class", "filter"}},
                 element("input", {{"type", "search"},
                                   {"placeholder", "filter: s1 * s2, counter-example ..."},
                                   {"aria-label", "filter tasks"}}) +
                     element("select", {{"aria-label", "verdict"}},
                             option("all", "all tasks") + option("proved", "proved equal") +
                                 option("solved", "solved, not proved") + option("unsolved", "not solved")) +
                     element("output", text("")));
}

Html gallery_figure(const GalleryItem& item) {
  Html images;
  for (std::size_t j = 0; j < item.parts.size(); ++j) {
    const GalleryItem::Part& part = item.parts[j];
    const std::string truth = part.level ? fmt::format("true {:.1f}", *part.level / 10.0) : "";
    const std::string name = fmt::format("s{}{}{}", j + 1, truth.empty() ? "" : ", ", truth);
    images += element("div", element("img", {{"src", data_uri(part.image)}, {"alt", name}}) +
                                 element("div", fmt::format("s{} = {}", j + 1, short_number(part.symbol))) +
                                 element("div", truth));
  }
  const std::string outcome = fmt::format("y = {}, predicted {}", short_number(item.y), short_number(item.prediction));
  return element("figure", element("div", {{"class", "images"}}, images) +
                               element("figcaption", element("div", fmt::format("task {}", item.task)) +
                                                         element("div", {{"class", "formula"}}, text(item.formula)) +
                                                         element("div", outcome)));
}

/// Symbols and gallery come from a checkpoint, which can be older than the last line of the log.
Html checkpoint_note(const ReportedRun& run) {
  if (run.record.finished() || !run.measurements.problem.empty()) return {};
  return paragraph(fmt::format("{}: symbols, tasks and gallery are those of its newest checkpoint, at step {}.",
                               run.record.name, run.measurements.step),
                   "warn");
}

/// Sections of one run; `prefix` keeps the pages' anchors apart.
Html run_sections(const ReportedRun& run, const std::string& prefix, bool several) {
  const auto heading = [&](const char* words) {
    return several ? fmt::format("{}: {}", run.record.name, words) : words;
  };
  const RunMeasurements& measured = run.measurements;
  Html body = checkpoint_note(run);
  body += section(prefix + "symbols", heading("Symbols"), symbols_block(measured));
  body += section(prefix + "tasks", heading("Tasks"),
                  tasks_table(run.record.programs.is_array() ? run.record.programs : measured.programs));
  body += section(prefix + "gallery", heading("Gallery"), gallery_block(measured));
  return body + section(prefix + "environment", heading("Command and environment"), environment_block(run.record));
}

Html notes(const std::vector<ReportedRun>& runs) {
  Html list;
  for (const ReportedRun& run : runs) {
    const RunRecord& record = run.record;
    list += paragraph(fmt::format("{}: method {}, seed {}, {}.", record.name, record.config.train.method,
                                  record.config.train.seed, record.state_text()),
                      record.finished() ? "" : "warn");
    for (const std::string& problem : record.problems) list += paragraph("Partial report. " + problem, "warn");
    if (!run.measurements.problem.empty()) {
      list += paragraph("Partial report, without symbols and gallery. " + run.measurements.problem, "warn");
    }
  }
  return list;
}

}  // namespace

Html section(const std::string& id, std::string_view heading, const Html& body) {
  return element("section", {{"id", id}}, element("h2", heading) + body);
}

Html curves(const std::vector<const RunRecord*>& runs) {
  constexpr bool kEvaluations = true;
  Html charts = curve(runs, {"Training loss", "step", ""}, "loss", !kEvaluations);
  charts += curve(runs, {"Training error", "step", "relative to the variance of y", true}, "error", !kEvaluations);
  charts += curve(runs, {"Tasks solved", "step", "", false, true}, "solved", kEvaluations);
  charts += curve(runs, {"Symbolic loss", "step", "training images", true}, "symbolic_loss_train", kEvaluations);
  charts += curve(runs, {"Symbolic loss", "step", "test images", true}, "symbolic_loss_test", kEvaluations);
  charts += curve(runs, {"Nearest level right", "step", "share of training images", false, true}, "symbols_right_train",
                  kEvaluations);
  charts += curve(runs, {"Test loss", "step", "normalised", true}, "test_loss_normalised", kEvaluations);
  charts += curve(runs, {"Program length", "step", "operators", false, true}, "program_length", kEvaluations);
  charts += curve(runs, {"Gradient norm", "step", "", true}, "gradient_norm", !kEvaluations);
  charts += curve(runs, {"Learning rate", "step", "", false, true}, "lr", !kEvaluations);
  charts += curve(runs, {"Skipped steps", "step", "so far", false, true}, "skipped_steps", !kEvaluations);
  if (std::ranges::any_of(runs, [](const RunRecord* run) { return method_parts(run->config).programs; }))
    charts += curve(runs, {"Sharpness", "step", "", false, true}, "sharpness", !kEvaluations);
  return element("div", {{"class", "charts"}}, charts);
}

Html metrics_table(const std::vector<const RunRecord*>& runs) {
  Html head = element("th", "");
  for (const RunRecord* run : runs) {
    const std::string step = run->finished() || !number_of(run->best_known(), "step")
                                 ? ""
                                 : fmt::format(" (at step {})", *number_of(run->best_known(), "step"));
    head += element("th", run->name + step);
  }
  Html rows = element("tr", head);
  for (const Metric& metric : kMetrics) {
    Html row = element("th", metric.label);
    for (const RunRecord* run : runs) row += element("td", value_text(run->best_known(), metric.key));
    rows += element("tr", row);
  }
  return element("div", {{"class", "scroll"}}, element("table", {{"class", "facts"}}, rows));
}

Html symbols_block(const RunMeasurements& measured) {
  if (!measured.levels_known) return paragraph("It is not known what the images stand for.", "note");
  if (measured.train.empty() && measured.test.empty()) return paragraph("Not measured: " + measured.problem, "note");
  const auto confusion = [](const char* split, const std::vector<SymbolPoint>& points) {
    const std::string caption =
        fmt::format("Nearest level, {} {} images (percent of each true level)", points.size(), split);
    return element("figure", element("figcaption", caption) + confusion_table(points));
  };
  return element("div", {{"class", "charts"}},
                 symbol_scatter(measured.train, measured.test) + confusion("training", measured.train) +
                     confusion("test", measured.test));
}

Html tasks_table(const nlohmann::json& programs) {
  if (!programs.is_array())
    return paragraph("Not measured: neither programs.json nor a checkpoint could be read.", "note");
  Html head;
  for (const char* name :
       {"task", "learned formula", "hidden formula", "verdict", "operators", "test loss, normalised"})
    head += element("th", name);
  Html rows;
  for (std::size_t i = 0; i < programs.size(); ++i) rows += task_row(programs[i], i);
  const Html table =
      element("table", {{"class", "tasks"}}, element("thead", element("tr", head)) + element("tbody", rows));
  return filter_box() + element("div", {{"class", "tall"}}, table);
}

Html gallery_block(const RunMeasurements& measured) {
  if (measured.gallery.empty()) return paragraph("Not measured: " + measured.problem, "note");
  Html figures;
  for (const GalleryItem& item : measured.gallery) figures += gallery_figure(item);
  return paragraph("Pairs of test images; true numbers are what nobody told the model.", "note") +
         element("div", {{"class", "gallery"}}, figures);
}

Html environment_block(const RunRecord& record) {
  Html rows;
  if (record.environment.is_object()) {
    for (const auto& [key, value] : record.environment.items()) {
      rows += element("tr",
                      element("th", key) + element("td", value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
  return element("pre", record.command.empty() ? "unknown command" : record.command) +
         element("div", {{"class", "scroll"}}, element("table", {{"class", "facts"}}, rows)) +
         element("details", element("summary", "config.toml") + element("pre", to_toml(record.config)));
}

std::string run_report(const std::string& title, const std::vector<ReportedRun>& runs) {
  std::vector<const RunRecord*> records;
  for (const ReportedRun& run : runs) records.push_back(&run.record);
  Html links;
  const auto link = [&](const std::string& id, const std::string& words) {
    links += element("a", {{"href", "#" + id}}, text(words));
  };
  link("metrics", "Metrics");
  link("curves", "Curves");
  Html body;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string prefix = fmt::format("run{}-", i);
    link(prefix + "symbols", runs.size() > 1 ? runs[i].record.name : "Symbols");
    if (runs.size() == 1) {
      for (const auto& [id, words] :
           {std::pair{"tasks", "Tasks"}, {"gallery", "Gallery"}, {"environment", "Command and environment"}})
        link(prefix + id, words);
    }
    body += run_sections(runs[i], prefix, runs.size() > 1);
  }
  const Html top = notes(runs) + element("nav", links) + section("metrics", "Metrics", metrics_table(records)) +
                   section("curves", "Curves", curves(records));
  return html_page(title, top + body);
}

}  // namespace roap::io
