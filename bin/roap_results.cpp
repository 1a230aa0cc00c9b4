#include <fmt/format.h>

#include <algorithm>

#include "bin/roap_run.h"

namespace roap::bin {

namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

/// NAME and NAME_normalised, with an ending; null without a loss.
void add_loss(Json& json, const std::string& name, const std::optional<Loss>& loss, const std::string& ending = "") {
  json[name + ending] = loss ? Json(loss->raw) : Json(nullptr);
  json[name + "_normalised" + ending] = loss ? Json(loss->normalised) : Json(nullptr);
}

void add_symbols(Json& json, const std::string& split, const std::optional<SymbolMetrics>& symbols) {
  json["symbolic_loss_" + split] = symbols ? Json(symbols->loss) : Json(nullptr);
  json["symbolic_loss_" + split + "_class_means"] = symbols ? Json(symbols->class_mean_loss) : Json(nullptr);
  json["symbols_right_" + split] = symbols ? Json(symbols->right) : Json(nullptr);
}

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 3) + "...";
}

/// How the task's formula compares: with the hidden formula where that is known, else with y.
std::string verdict_text(const TaskResult& task) {
  if (!task.program) return "no program";
  if (task.verdict) return task.verdict->text();
  return fmt::format("{:.4f} of y's variance left on test pairs", task.test_loss.normalised);
}

std::string symbols_text(const char* split, const SymbolMetrics& m) {
  return fmt::format(
      "symbols on {:<5} images: mean squared error {:.5f} (class means {:.5f}), {:.1f} % right, {} images\n", split,
      m.loss, m.class_mean_loss, 100 * m.right, m.images);
}

/// What can be said where the hidden truth is known.
std::string hidden_truth_text(const Evaluation& e) {
  std::string text;
  if (e.solved) text += fmt::format("{} of {} tasks solved", *e.solved, e.tasks.size());
  if (e.solved_exact) {
    text += e.solved
                ? fmt::format(" ({} proved equal to the hidden formula)", *e.solved_exact)
                : fmt::format("{} of {} tasks proved equal to the hidden formula", *e.solved_exact, e.tasks.size());
  }
  if (!text.empty()) text += "\n";
  if (e.synthesised_solved) text += fmt::format("the synthesizer alone solves {}\n", *e.synthesised_solved);
  if (!e.train || !e.test) return text;
  text += symbols_text("train", *e.train) + symbols_text("test", *e.test);
  text += fmt::format("symbols are {}\n", e.gauge_text());
  return text + fmt::format(
                    "a successful run: {} (symbolic loss on test images at most 0.05); strictly: {} (90 % of the "
                    "training images right)\n",
                    *e.run_success() ? "yes" : "no", *e.run_success_strict() ? "yes" : "no");
}

}  // namespace

nlohmann::ordered_json result_json(const Evaluation& e, const TrainerState& state, const io::TrainingTime& time,
                                   const std::string& run) {
  Json json{{"solved", or_null(e.solved)}, {"solved_exact", or_null(e.solved_exact)}, {"tasks", e.tasks.size()}};
  add_symbols(json, "train", e.train);
  add_symbols(json, "test", e.test);
  add_loss(json, "test_loss", e.test_loss);
  add_loss(json, "test_loss", e.test_loss_solved, "_solved");
  add_loss(json, "test_loss", e.test_loss_unsolved, "_unsolved");
  add_loss(json, "train_loss", e.train_loss);
  std::optional<Loss> new_tasks;
  if (e.generalisation) new_tasks = e.generalisation->loss;
  add_loss(json, "generalisation_loss", new_tasks);
  json["generalisation_tasks"] = e.generalisation ? Json(e.generalisation->tasks) : Json(nullptr);
  json["program_length"] = or_null(e.program_length);
  json["formula_length"] = or_null(e.formula_length);
  json["run_success"] = or_null(e.run_success());
  json["run_success_strict"] = or_null(e.run_success_strict());
  json["symbols"] = e.gauge_text();
  json["gauge"] = nullptr;
  if (e.train) {
    const Gauge& gauge = e.train->gauge;
    json["gauge"] = {{"a", gauge.a}, {"b", gauge.b}, {"loss", gauge.loss}, {"text", e.gauge_text()}};
  }
  json["seconds"] = time.wall;
  json["cpu_seconds"] = time.processor;
  json["steps"] = state.step;
  json["skipped_steps"] = state.skipped_steps;
  json["run"] = run;
  if (e.synthesised_solved) json["synthesised_solved"] = *e.synthesised_solved;
  return json;
}

nlohmann::ordered_json programs_json(const Evaluation& evaluation) {
  Json rows = Json::array();
  for (std::size_t t = 0; t < evaluation.tasks.size(); ++t) {
    const TaskResult& task = evaluation.tasks[t];
    rows.push_back({{"task", t},
                    {"formula", task.formula ? Json(task.formula->text) : Json(nullptr)},
                    {"program", task.program ? Json(task.program->text()) : Json(nullptr)},
                    {"operators", task.program ? Json(task.program->operator_count()) : Json(nullptr)},
                    {"gold", or_null(task.gold)},
                    {"solved", or_null(task.solved)},
                    {"solved_exact", task.gold ? Json(task.verdict && task.verdict->equal()) : Json(nullptr)},
                    {"verdict", verdict_text(task)}});
    if (!task.name.empty()) rows.back()["name"] = task.name;
    add_loss(rows.back(), "test_loss", task.test_loss);
  }
  return rows;
}

std::string summary_text(const Evaluation& e) {
  std::string text = hidden_truth_text(e);
  const auto loss = [](const char* name, const Loss& l) {
    return fmt::format("{} {:.5f} (normalised {:.5f})", name, l.raw, l.normalised);
  };
  text += loss("test loss", e.test_loss);
  if (e.test_loss_solved) text += loss("; of solved tasks", *e.test_loss_solved);
  if (e.test_loss_unsolved) text += loss("; of the others", *e.test_loss_unsolved);
  text += "\n" + loss("training loss", e.train_loss);
  if (e.generalisation) {
    text += "\n" + loss("generalisation loss", e.generalisation->loss) +
            fmt::format(" on {} new tasks, learned from symbols up to 0.5 and judged on larger ones",
                        e.generalisation->tasks);
  }
  if (e.program_length) {
    text += fmt::format("\nmean program length {:.1f}, simplified {:.1f}", *e.program_length, *e.formula_length);
  }
  return text;
}

std::string formulas_text(const Evaluation& evaluation, std::size_t rows) {
  if (!evaluation.program_length) return "no programs: this method predicts y by an MLP\n";
  constexpr std::size_t kWidth = 34;
  const std::size_t count = std::min(rows, evaluation.tasks.size());
  std::vector<std::string> labels;
  std::size_t label_width = std::string_view("task").size();
  for (std::size_t t = 0; t < count; ++t) {
    const TaskResult& task = evaluation.tasks[t];
    labels.push_back(task.name.empty() ? fmt::format("{:>4}", t) : cut(fmt::format("{:>4}  {}", t, task.name), kWidth));
    label_width = std::max(label_width, labels.back().size());
  }
  const bool known = evaluation.solved_exact.has_value();
  std::string text;
  const auto row = [&](const std::string& label, const std::string& learned, const std::string& hidden,
                       const std::string& verdict) {
    text += fmt::format("{:<{}}  {:<34}  ", label, label_width, learned);
    if (known) text += fmt::format("{:<24}  ", hidden);
    text += verdict + "\n";
  };
  row("task", "learned formula", "hidden formula", "verdict");
  for (std::size_t t = 0; t < count; ++t) {
    const TaskResult& task = evaluation.tasks[t];
    row(labels[t], cut(task.formula->text, kWidth), task.gold.value_or(""), verdict_text(task));
  }
  if (evaluation.tasks.size() > rows) {
    text += fmt::format("... and {} more: roap programs RUN\n", evaluation.tasks.size() - rows);
  }
  return text;
}

}  // namespace roap::bin
