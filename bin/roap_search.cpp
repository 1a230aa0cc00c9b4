#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>

#include "bin/roap_commands.h"
#include "bin/roap_progress.h"
#include "engine/device.h"
#include "io/search_table.h"
#include "models/programs/equality.h"
#include "models/search_cuda/search_device_cuda.h"

namespace roap::bin {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct SearchArguments {
  std::string run, table;
  int max_operators = 5;
  std::string operators = "add,sub,mul";
  std::string memory = "2G";
  std::int64_t threads = 0;
  std::string device = "cpu";
  bool json = false;
};

/// "512M" or "2G" in bytes.
std::size_t parse_memory(const std::string& text) {
  std::size_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(stop, text.data() + text.size());
  constexpr std::size_t kMost = std::size_t{1} << 40;
  const std::size_t factor = unit == "M" ? kMiB : unit == "G" ? 1024 * kMiB : 0;
  if (error != std::errc() || factor == 0 || value == 0 || value > kMost / factor) {
    throw UsageError(fmt::format("--memory {}: expected a number with M or G, for example 512M", text));
  }
  return value * factor;
}

/// What the search may take, so that the whole process stays below the limit.
std::size_t memory_for_search(const std::string& limit) {
  constexpr std::size_t kOthers = 16 * kMiB;  // results, text, threads
  constexpr std::size_t kLeast = kMiB;
  const std::size_t all = parse_memory(limit);
  const std::size_t taken = peak_resident_bytes() + kOthers;
  if (all < taken + kLeast) {
    throw DeviceError(fmt::format("--memory {}: the program and its data take {} MiB already; allow at least {}M",
                                  limit, taken / kMiB, (taken + kLeast) / kMiB + 1));
  }
  return all - taken;
}

/// One line on a terminal, redrawn; nothing elsewhere before a search has taken a while.
class SearchDisplay {
 public:
  void update(const search::SearchProgress& progress) {
    const double now = monotonic_seconds();
    if (now - last_ < kInterval) return;
    last_ = now;
    fmt::print(stderr, "{} operators: {:.0f} % of the candidates, {} formulas kept, {:.0f} s\n", progress.operators,
               100 * progress.share, progress.formulas, now - started_);
  }
  [[nodiscard]] double seconds() const { return monotonic_seconds() - started_; }

 private:
  static constexpr double kInterval = 2;
  double started_ = monotonic_seconds();
  double last_ = started_;
};

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.3g}", value) : "-"; }

using Gold = std::optional<programs::Expression>;

nlohmann::ordered_json formula_json(const search::FoundFormula& formula, bool front, bool chosen, const Gold& gold) {
  nlohmann::ordered_json json{{"formula", formula.expression.text()},
                              {"operators", formula.operators},
                              {"error", formula.error},
                              {"error_normalised", formula.error_normalised},
                              {"front", front},
                              {"chosen", chosen},
                              {"ties", formula.ties}};
  if (gold) {
    const programs::Verdict verdict = programs::prove_equal(formula.expression, *gold);
    json["equal"] = verdict.equal();
    json["verdict"] = verdict.text();
  }
  return json;
}

nlohmann::ordered_json task_json(const search::TaskFormulas& task, const Gold& gold) {
  nlohmann::ordered_json formulas = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < task.front.size(); ++i) {
    formulas.push_back(formula_json(task.front[i], true, i == task.chosen, gold));
  }
  for (const search::FoundFormula& formula : task.others) formulas.push_back(formula_json(formula, false, false, gold));
  nlohmann::ordered_json json{{"rows", task.rows}, {"variance", task.variance}, {"formulas", formulas}};
  json["rivals"] = task.rivals;
  if (gold) json["gold"] = gold->text();
  return json;
}

std::string task_text(const search::TaskFormulas& task, const Gold& gold) {
  std::string text = fmt::format("{}{} rows; variance of y {}\n", task.name.empty() ? "" : "task " + task.name + ": ",
                                 task.rows, number(task.variance));
  text += fmt::format("  operators  {:>9}  {:>9}  formula\n", "error", "relative");
  for (std::size_t i = 0; i < task.front.size(); ++i) {
    const search::FoundFormula& formula = task.front[i];
    text += fmt::format("{} {:>9}  {:>9}  {:>9}  {}\n", i == task.chosen ? "*" : " ", formula.operators,
                        number(formula.error), number(formula.error_normalised), formula.expression.text());
    if (!formula.ties.empty()) text += fmt::format("{:>35}as good: {}\n", "", fmt::join(formula.ties, ", "));
    if (i == task.chosen && gold) {
      text += fmt::format("{:>35}{}\n", "", programs::prove_equal(formula.expression, *gold).text());
    }
  }
  if (!task.rivals.empty()) {
    constexpr std::size_t kShown = 5;
    const auto shown = std::span(task.rivals).first(std::min(kShown, task.rivals.size()));
    text += fmt::format("ambiguous: {} other formula{} of the same size fit{} as well within noise: {}{}\n",
                        task.rivals.size(), task.rivals.size() == 1 ? "" : "s", task.rivals.size() == 1 ? "s" : "",
                        fmt::join(shown, ", "), shown.size() < task.rivals.size() ? ", ..." : "");
  }
  return text;
}

int search_and_print(const SearchArguments& arguments, const io::SearchTable& table, nlohmann::ordered_json json) {
  for (const std::string& name : table.unused) warn(fmt::format("column {} is not used", name));
  io::Config config;
  io::apply_setting(config, "device.name=" + arguments.device);
  io::apply_setting(config, fmt::format("device.threads={}", arguments.threads));
  std::unique_ptr<search::SearchDevice> device;
  if (prepare_device(config) == DeviceKind::cuda) device = search::make_cuda_search_device();
  search::SearchOptions options;
  options.device = device.get();
  options.variables = table.variables;
  options.max_operators = arguments.max_operators;
  options.operators = programs::parse_operators(arguments.operators);
  options.memory = memory_for_search(arguments.memory);
  SearchDisplay display;
  options.progress = [&](const search::SearchProgress& progress) { display.update(progress); };
  const search::SearchResult result = search::search_formulas(table.tasks, options);
  if (!result.complete) {
    warn(fmt::format("--memory {} was enough for formulas of up to {} operators, not {}", arguments.memory,
                     result.max_operators, arguments.max_operators));
  }
  if (arguments.json) {
    if (!table.named) {
      json.update(task_json(result.tasks[0], table.gold[0]));
    } else {
      for (std::size_t t = 0; t < result.tasks.size(); ++t) {
        nlohmann::ordered_json task{{"task", result.tasks[t].name}};
        task.update(task_json(result.tasks[t], table.gold[t]));
        json["tasks"].push_back(std::move(task));
      }
    }
    json["max_operators"] = result.max_operators;
    json["complete"] = result.complete;
    json["candidates"] = result.candidates;
    json["seconds"] = display.seconds();
    fmt::print("{}\n", json.dump());
    return 0;
  }
  for (std::size_t t = 0; t < result.tasks.size(); ++t) fmt::print("{}\n", task_text(result.tasks[t], table.gold[t]));
  fmt::print("* the smallest formula whose error is within noise of the best; relative: error over variance of y\n");
  fmt::print("{:.0f} candidates of up to {} operators in {:.2f} s, {} MiB\n", result.candidates, result.max_operators,
             display.seconds(), peak_resident_bytes() / kMiB);
  return 0;
}

int search_numbers(const SearchArguments& arguments) {
  const io::CsvTable csv = io::read_csv(arguments.table);
  const int variables = io::symbol_columns(csv, "s");
  return search_and_print(arguments, io::make_search_table(csv, variables, io::read_symbols(csv, variables)), {});
}

int search_images(const SearchArguments& arguments) {
  const io::CsvTable csv = io::read_csv(arguments.table);
  const int variables = io::symbol_columns(csv, "x");
  const std::vector<std::string> files = io::read_image_paths(csv, variables);
  LoadedRun run = load_run(arguments.run, "", "");
  const std::vector<float> symbols = ground_files(*run.model, files);
  const std::string gauge = gauge_text(measure_training_symbols(*run.model, run.experiment.benchmark));
  if (gauge != "right") warn(fmt::format("formulas are about the symbols of {}, which are {}", arguments.run, gauge));
  const std::vector<double> wide(symbols.begin(), symbols.end());
  return search_and_print(arguments, io::make_search_table(csv, variables, wide), {{"symbols", gauge}});
}

}  // namespace

void add_search_commands(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<SearchArguments>();
  const auto add = [&](const char* name, const char* description, const char* example) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer(std::string("Example: ") + example);
    return command;
  };
  const auto add_options = [&](CLI::App* command) {
    command->add_option("--max-operators", arguments->max_operators, "largest formulas to try")
        ->capture_default_str()
        ->check(CLI::Range(0, 12));
    command->add_option("--operators", arguments->operators, "from add, sub, mul, div, min, max, neg, square")
        ->capture_default_str();
    command->add_option("--memory", arguments->memory, "most memory of the process, for example 512M")
        ->capture_default_str();
    command->add_option("--device", arguments->device, "where to search: cpu, cuda[:N] or auto")->capture_default_str();
    command->add_option("--threads", arguments->threads, "CPU threads; 0 is all cores")->capture_default_str();
    command->add_flag("--json", arguments->json, "results as JSON on stdout");
  };
  CLI::App* numbers = add("search", "Formulas for y from columns of numbers s1..sV, smallest to best",
                          "roap search table.csv --max-operators 4");
  numbers->add_option("table", arguments->table, "CSV file with columns s1..sV, y and perhaps task")->required();
  add_options(numbers);
  numbers->callback([=, &exit_code] { exit_code = search_numbers(*arguments); });
  CLI::App* images = add("solve", "Formulas for y from images, read as numbers by a run's grounder",
                         "roap solve runs/first table.csv");
  images->add_option("run", arguments->run, "run folder")->required();
  images->add_option("table", arguments->table, "CSV file with image paths in columns x1..xV, y and perhaps task")
      ->required();
  add_options(images);
  images->callback([=, &exit_code] { exit_code = search_images(*arguments); });
}

}  // namespace roap::bin
