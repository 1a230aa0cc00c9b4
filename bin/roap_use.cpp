#include <fmt/format.h>

#include "bin/roap_commands.h"
#include "models/columns.h"

namespace roap::bin {

namespace {

struct UseArguments {
  std::string run, data, device;
  std::vector<std::string> images;
  int task = 0;
  bool unseen = false;
  int new_tasks = 0;
  std::size_t rows = 1000000;
  bool json = false;
};

int evaluate_run(const UseArguments& arguments) {
  LoadedRun run = load_run(arguments.run, arguments.data, arguments.device,
                           arguments.unseen ? io::TaskSet::unseen : io::TaskSet::own);
  EvaluationOptions options;
  options.new_tasks = arguments.new_tasks;
  const Evaluation evaluation = evaluate(*run.model, run.experiment.benchmark, run.experiment.pool, options);
  if (arguments.new_tasks > 0 && !evaluation.generalisation) {
    throw UsageError(fmt::format("--generalisation: the run trained on all {} formulas, no task is new",
                                 run.experiment.pool.usable().size()));
  }
  if (arguments.json) {
    fmt::print("{}\n", result_json(evaluation, run.state, run.time, run.folder.path().string()).dump());
  } else {
    fmt::print("{}\n", summary_text(evaluation));
  }
  return 0;
}

int print_programs(const UseArguments& arguments) {
  LoadedRun run = load_run(arguments.run, "", arguments.device);
  if (method_parts(run.config).head) {
    throw UsageError(
        fmt::format("method {} predicts y by an MLP and has no programs; roap eval says how well, roap predict "
                    "applies it",
                    run.config.train.method));
  }
  const Evaluation evaluation = evaluate(*run.model, run.experiment.benchmark, run.experiment.pool);
  if (arguments.json) {
    fmt::print("{}\n", programs_json(evaluation).dump(1));
  } else {
    fmt::print("{}", formulas_text(evaluation, arguments.rows));
  }
  return 0;
}

/// What the run says y of a task is for rows of symbols, and the formula where there is one.
struct TaskPredictions {
  std::optional<std::string> formula;
  std::vector<double> y;
};

TaskPredictions predict_task(LoadedRun& run, std::size_t task, const std::vector<float>& symbols) {
  const auto variables = static_cast<std::size_t>(run.model->problem().symbols);
  const std::size_t rows = symbols.size() / variables;
  if (method_parts(run.config).head) {
    const std::vector<float> all = run.model->predict(symbols);
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(task * rows);
    return {std::nullopt, {first, first + static_cast<std::ptrdiff_t>(rows)}};
  }
  EvaluationOptions options;
  options.max_images = 100;
  options.train_pairs = 1;
  options.verdicts = false;
  const Evaluation evaluation = evaluate(*run.model, run.experiment.benchmark, run.experiment.pool, options);
  const TaskResult& result = evaluation.tasks[task];
  return {result.formula->text, result.program->evaluate_rows(to_columns(symbols, variables), rows)};
}

int predict(const UseArguments& arguments) {
  LoadedRun run = load_run(arguments.run, "", arguments.device);
  const std::size_t variables = static_cast<std::size_t>(run.model->problem().symbols);
  if (arguments.task < 0 || arguments.task >= run.model->problem().tasks) {
    throw UsageError(
        fmt::format("--task {}: this run has tasks 0 to {}", arguments.task, run.model->problem().tasks - 1));
  }
  if (arguments.images.size() % variables != 0) {
    throw UsageError(
        fmt::format("{} images: a prediction needs {} (or a multiple of it)", arguments.images.size(), variables));
  }
  const std::vector<float> symbols = ground_files(*run.model, arguments.images);
  const TaskPredictions predictions = predict_task(run, static_cast<std::size_t>(arguments.task), symbols);
  if (arguments.json) {
    nlohmann::ordered_json json{
        {"task", arguments.task}, {"formula", nullptr}, {"predictions", nlohmann::json::array()}};
    if (predictions.formula) json["formula"] = *predictions.formula;
    for (std::size_t i = 0; i < predictions.y.size(); ++i) {
      const auto first = symbols.begin() + static_cast<std::ptrdiff_t>(i * variables);
      const std::vector<double> s(first, first + static_cast<std::ptrdiff_t>(variables));
      json["predictions"].push_back({{"symbols", s}, {"y", predictions.y[i]}});
    }
    fmt::print("{}\n", json.dump());
    return 0;
  }
  fmt::print("task {}: {}\n", arguments.task,
             predictions.formula ? "y = " + *predictions.formula : "y by an MLP, no formula");
  for (std::size_t i = 0; i < predictions.y.size(); ++i) {
    fmt::print("symbols");
    for (std::size_t j = 0; j < variables; ++j) fmt::print(" {:.3f}", symbols[i * variables + j]);
    fmt::print("  y {:.4f}\n", predictions.y[i]);
  }
  return 0;
}

}  // namespace

void add_use_commands(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<UseArguments>();
  const auto add = [&](const char* name, const char* description, const char* example, auto function) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer(std::string("Example: ") + example);
    command->add_option("run", arguments->run, "run folder")->required();
    command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N instead of the run's own");
    command->add_flag("--json", arguments->json, "results as JSON on stdout");
    command->callback([=, &exit_code] { exit_code = function(*arguments); });
    return command;
  };
  CLI::App* eval_command =
      add("eval", "All metrics of a run on the test images", "roap eval runs/first --json", evaluate_run);
  eval_command->add_option("--data", arguments->data,
                           "other images than the run's: digits, cifar10:DIR or table:FILE.csv");
  eval_command
      ->add_option("--generalisation", arguments->new_tasks,
                   "also learn so many new tasks (100) from symbols up to 0.5 and judge them on larger ones")
      ->expected(0, 1)
      ->default_str("100")
      ->check(CLI::Range(1, 100000));
  eval_command->add_flag("--unseen", arguments->unseen, "on tasks of the pool that the run has not trained on");
  add("programs", "Learned formulas, the hidden ones beside them, proved equal or with a counter-example",
      "roap programs runs/first", print_programs)
      ->add_option("--rows", arguments->rows, "at most that many tasks");
  CLI::App* predict_command = add("predict", "Apply a task's learned program to image files",
                                  "roap predict runs/first --task 4 a.png b.png c.png", predict);
  predict_command->add_option("--task", arguments->task, "index of the task, see roap programs")->required();
  predict_command->add_option("images", arguments->images, "PNG or JPEG files, one per symbol")->required();
}

}  // namespace roap::bin
