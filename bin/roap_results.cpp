#include <fmt/format.h>

#include "bin/roap_run.h"

namespace roap::bin {

nlohmann::ordered_json result_json(const Evaluation& e, const TrainerState& state, const io::TrainingTime& time,
                                   const std::string& run) {
  nlohmann::ordered_json json{{"solved", e.solved},
                              {"solved_exact", e.solved_exact},
                              {"tasks", e.tasks.size()},
                              {"symbolic_loss_train", e.train.loss},
                              {"symbolic_loss_test", e.test.loss},
                              {"symbols_right_train", e.train.right},
                              {"symbols_right_test", e.test.right},
                              {"test_loss", e.test_loss},
                              {"test_loss_normalised", e.test_loss_normalised},
                              {"program_length", e.program_length},
                              {"formula_length", e.formula_length},
                              {"symbols", e.gauge_text()},
                              {"seconds", time.wall},
                              {"cpu_seconds", time.processor},
                              {"steps", state.step},
                              {"skipped_steps", state.skipped_steps},
                              {"run", run}};
  if (e.synthesised_solved) json["synthesised_solved"] = *e.synthesised_solved;
  return json;
}

nlohmann::ordered_json programs_json(const Evaluation& evaluation) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t t = 0; t < evaluation.tasks.size(); ++t) {
    const TaskResult& task = evaluation.tasks[t];
    rows.push_back({{"task", t},
                    {"formula", task.formula.text},
                    {"program", task.program.text()},
                    {"operators", task.program.operator_count()},
                    {"gold", task.gold},
                    {"solved", task.solved},
                    {"solved_exact", task.verdict.equal()},
                    {"verdict", task.verdict.text()},
                    {"test_loss", task.test_loss},
                    {"test_loss_normalised", task.test_loss_normalised}});
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
  text += fmt::format("test loss {:.5f} (normalised {:.5f}); mean program length {:.1f}, simplified {:.1f}",
                      e.test_loss, e.test_loss_normalised, e.program_length, e.formula_length);
  return text;
}

std::string formulas_text(const Evaluation& evaluation, std::size_t rows) {
  constexpr std::size_t kWidth = 34;
  const auto cut = [](const std::string& s) { return s.size() <= kWidth ? s : s.substr(0, kWidth - 3) + "..."; };
  std::string text = fmt::format("{:>4}  {:<34}  {:<24}  {}\n", "task", "learned formula", "hidden formula", "verdict");
  for (std::size_t t = 0; t < std::min(rows, evaluation.tasks.size()); ++t) {
    const TaskResult& task = evaluation.tasks[t];
    text += fmt::format("{:>4}  {:<34}  {:<24}  {}\n", t, cut(task.formula.text), task.gold, task.verdict.text());
  }
  if (evaluation.tasks.size() > rows) {
    text += fmt::format("... and {} more: roap programs RUN\n", evaluation.tasks.size() - rows);
  }
  return text;
}

}  // namespace roap::bin
