#include <fmt/format.h>

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

void add_symbols(Json& json, const std::string& split, const SymbolMetrics& symbols) {
  json["symbolic_loss_" + split] = symbols.loss;
  json["symbolic_loss_" + split + "_class_means"] = symbols.class_mean_loss;
  json["symbols_right_" + split] = symbols.right;
}

}  // namespace

nlohmann::ordered_json result_json(const Evaluation& e, const TrainerState& state, const io::TrainingTime& time,
                                   const std::string& run) {
  Json json{{"solved", e.solved}, {"solved_exact", e.solved_exact}, {"tasks", e.tasks.size()}};
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
  json["run_success"] = e.run_success();
  json["run_success_strict"] = e.run_success_strict();
  json["symbols"] = e.gauge_text();
  const Gauge& gauge = e.train.gauge;
  json["gauge"] = {{"a", gauge.a}, {"b", gauge.b}, {"loss", gauge.loss}, {"text", e.gauge_text()}};
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
                    {"gold", task.gold},
                    {"solved", task.solved},
                    {"solved_exact", task.verdict.equal()},
                    {"verdict", task.program ? task.verdict.text() : "no program"}});
    add_loss(rows.back(), "test_loss", task.test_loss);
  }
  return rows;
}

std::string summary_text(const Evaluation& e) {
  std::string text = fmt::format("{} of {} tasks solved ({} proved equal to the hidden formula)\n", e.solved,
                                 e.tasks.size(), e.solved_exact);
  if (e.synthesised_solved) text += fmt::format("the synthesizer alone solves {}\n", *e.synthesised_solved);
  const auto symbols = [&](const char* split, const SymbolMetrics& m) {
    text += fmt::format(
        "symbols on {:<5} images: mean squared error {:.5f} (class means {:.5f}), {:.1f} % right, {} images\n", split,
        m.loss, m.class_mean_loss, 100 * m.right, m.images);
  };
  symbols("train", e.train);
  symbols("test", e.test);
  text += fmt::format("symbols are {}\n", e.gauge_text());
  text += fmt::format(
      "a successful run: {} (symbolic loss on test images at most 0.05); strictly: {} (90 % of the training "
      "images right)\n",
      e.run_success() ? "yes" : "no", e.run_success_strict() ? "yes" : "no");
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
  const auto cut = [](const std::string& s) { return s.size() <= kWidth ? s : s.substr(0, kWidth - 3) + "..."; };
  std::string text = fmt::format("{:>4}  {:<34}  {:<24}  {}\n", "task", "learned formula", "hidden formula", "verdict");
  for (std::size_t t = 0; t < std::min(rows, evaluation.tasks.size()); ++t) {
    const TaskResult& task = evaluation.tasks[t];
    text += fmt::format("{:>4}  {:<34}  {:<24}  {}\n", t, cut(task.formula->text), task.gold, task.verdict.text());
  }
  if (evaluation.tasks.size() > rows) {
    text += fmt::format("... and {} more: roap programs RUN\n", evaluation.tasks.size() - rows);
  }
  return text;
}

}  // namespace roap::bin
