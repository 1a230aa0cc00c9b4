#include <fmt/format.h>

#include <thread>

#include "bin/roap_commands.h"
#include "bin/roap_progress.h"
#include "engine/cuda/cuda.h"
#include "engine/device.h"
#include "kernels/common/isa.h"
#include "models/search/enumeration.h"
#include "models/trainer.h"

namespace roap::bin {

namespace {

/// Sizes of a config's data without the data: enough to build and plan its graph.
class SizesOnly : public PairSource {
 public:
  explicit SizesOnly(const io::Config& config)
      : tasks_(static_cast<int>(config.tasks.count)),
        symbols_(static_cast<int>(config.tasks.symbols)),
        images_(config.data.source == "digits" ? ImageSet{1, 8, 8, 1, {}} : ImageSet{1, 32, 32, 3, {}}),
        pixels_(static_cast<std::size_t>(images_.height * images_.width * images_.channels)),
        sigma_(static_cast<std::size_t>(tasks_), 1.0f) {
    images_.pixels = pixels_;
  }
  [[nodiscard]] int tasks() const override { return tasks_; }
  [[nodiscard]] int symbols() const override { return symbols_; }
  [[nodiscard]] const ImageSet& images() const override { return images_; }
  [[nodiscard]] std::span<const float> sigma() const override { return sigma_; }
  void draw(const RandomKey& /*key*/, int /*pairs*/, std::span<std::int32_t> index, std::span<float> y) const override {
    std::fill(index.begin(), index.end(), 0);
    std::fill(y.begin(), y.end(), 0.0f);
  }

 private:
  int tasks_, symbols_;
  ImageSet images_;
  std::vector<std::uint8_t> pixels_;
  std::vector<float> sigma_;
};

struct TasksArguments {
  search::EnumerationOptions pool;
  std::string operators = "add,sub,mul";
  bool list = false, json = false;
};

int tasks(TasksArguments arguments) {
  arguments.pool.operators = programs::parse_operators(arguments.operators);
  const search::Enumeration pool(arguments.pool);
  const std::vector<std::size_t> counts = pool.counts_by_operators();
  const std::size_t constants = pool.constants().size();
  nlohmann::ordered_json json{{"total", pool.size()}, {"by_operators", counts}, {"constant", constants}};
  if (arguments.json) {
    if (arguments.list) {
      for (std::size_t i = 0; i < pool.size(); ++i) json["formulas"].push_back(pool.expression(i).text());
    }
    fmt::print("{}\n", json.dump());
    return 0;
  }
  std::string symbols;
  for (const programs::Operator op : pool.operators()) symbols += fmt::format(" {}", programs::info(op).symbol);
  fmt::print("{} formulas over s1..s{} with at most {} operators from{}, distinct as functions\n", pool.size(),
             pool.variables(), pool.max_operators(), symbols);
  for (std::size_t k = 0; k < counts.size(); ++k) fmt::print("  {} operators: {}\n", k, counts[k]);
  fmt::print("{} of them constant and never a task\n", constants);
  for (std::size_t i = 0; arguments.list && i < pool.size(); ++i) {
    fmt::print("{:>6}  {}  {}\n", i, pool.operator_count(i), pool.expression(i).text());
  }
  return 0;
}

int graph(const ConfigOptions& options, std::size_t rows) {
  const io::Config config = options.load().config;
  const DeviceKind device = prepare_device(config);
  const SizesOnly source(config);
  Model model(config, problem_shape(source), device);
  Trainer trainer(model, source);
  constexpr double kMiB = 1 << 20;
  fmt::print("{}\n{}", trainer.graph().text(), trainer.executor().plan().text(rows));
  fmt::print("weights {} ({:.1f} MiB with gradients and Adam's moments); whole step {:.1f} MiB\n",
             model.store().parameter_count(), static_cast<double>(model.store().bytes()) / kMiB,
             static_cast<double>(model.store().bytes() + trainer.executor().plan().arena_bytes) / kMiB);
  return 0;
}

int config(const ConfigOptions& options, const std::string& key, bool json) {
  if (!key.empty()) {
    fmt::print("{}\n", io::explain(key));
    return 0;
  }
  const io::Config config = options.load().config;
  fmt::print("{}\n", json ? io::to_json(config).dump() : io::to_toml(config, io::TomlComments::effects));
  return 0;
}

/// First training step of the digits preset.
struct SelfTest {
  bool ok = false;
  double loss = 0, seconds = 0;
  std::string error;

  [[nodiscard]] std::string text() const {
    if (!error.empty()) return "FAILED: " + error;
    return ok ? fmt::format("ok, loss {:.4f}, {:.2f} s", loss, seconds) : "FAILED: step not finite";
  }
};

SelfTest self_test(DeviceKind device) {
  SelfTest test;
  const double started = monotonic_seconds();
  try {
    if (device == DeviceKind::cuda) use_cuda(0);
    const io::Config config = io::load_config("digits");
    const io::Experiment experiment = io::load_experiment(config);
    Model model(config, problem_shape(*experiment.benchmark.train), device);
    Trainer trainer(model, *experiment.benchmark.train);
    const StepReport report = trainer.step();
    test.ok = !report.skipped && std::isfinite(report.loss);
    test.loss = report.loss;
  } catch (const Error& error) {
    test.error = error.what();
  }
  test.seconds = monotonic_seconds() - started;
  return test;
}

int doctor(bool json) {
  const int threads = set_threads(0);
  const CudaStatus cuda = cuda_status();
  const SelfTest on_cpu = self_test(DeviceKind::cpu);
  const SelfTest on_cuda = cuda.devices.empty() ? SelfTest{} : self_test(DeviceKind::cuda);
  const bool ok = on_cpu.ok && (cuda.devices.empty() || on_cuda.ok);
  const nlohmann::ordered_json environment = io::describe_environment(kVersion, threads);
  if (json) {
    nlohmann::ordered_json object{{"version", kVersion},          {"vector_instructions", to_string(active_isa())},
                                  {"threads", threads},           {"cuda", nlohmann::ordered_json::array()},
                                  {"cuda_problem", cuda.problem}, {"self_test_ok", ok},
                                  {"environment", environment}};
    for (const CudaDevice& card : cuda.devices) object["cuda"].push_back(card.name);
    fmt::print("{}\n", object.dump());
    return ok ? 0 : static_cast<int>(ExitCode::device);
  }
  fmt::print("roap {}\ndevice cpu: {} vector kernels, {} threads\n", kVersion, to_string(active_isa()), threads);
  for (std::size_t i = 0; i < cuda.devices.size(); ++i) {
    const CudaDevice& card = cuda.devices[i];
    fmt::print("device cuda:{}: {}, compute capability {}.{}, {:.1f} GiB\n", i, card.name, card.major, card.minor,
               static_cast<double>(card.total_bytes) / (1 << 30));
  }
  if (cuda.devices.empty()) fmt::print("device cuda: none: {}\n", cuda.problem);
  for (const auto& [key, value] : environment.items()) {
    fmt::print("{}: {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  fmt::print("self-test (first training step of the digits preset) on cpu: {}\n", on_cpu.text());
  if (!cuda.devices.empty()) fmt::print("self-test on cuda: {}\n", on_cuda.text());
  return ok ? 0 : static_cast<int>(ExitCode::device);
}

}  // namespace

void add_info_commands(CLI::App& app, int& exit_code) {
  auto pool = std::make_shared<TasksArguments>();
  CLI::App* tasks_command = app.add_subcommand("tasks", "The pool of formulas that tasks are drawn from");
  tasks_command->footer("Example: roap tasks --max-operators 2 --list");
  tasks_command->add_option("--max-operators", pool->pool.max_operators)->capture_default_str();
  tasks_command->add_option("--symbols", pool->pool.variables)->capture_default_str();
  tasks_command->add_option("--operators", pool->operators, "from add, sub, mul, div, min, max, neg, square")
      ->capture_default_str();
  tasks_command->add_flag("--list", pool->list, "print every formula");
  tasks_command->add_flag("--json", pool->json, "as JSON");
  tasks_command->callback([=, &exit_code] { exit_code = tasks(*pool); });

  auto graph_options = std::make_shared<ConfigOptions>();
  auto rows = std::make_shared<std::size_t>(30);
  CLI::App* graph_command = app.add_subcommand("graph", "Nodes and memory plan of one training step");
  graph_command->footer("Example: roap graph paper --set train.pairs_per_step=256");
  graph_command->add_option("preset", graph_options->preset, "preset or FILE.toml")->capture_default_str();
  graph_command->add_option("--set", graph_options->settings, "section.key=value")->allow_extra_args(false);
  graph_command->add_option("--rows", *rows, "rows of the memory plan")->capture_default_str();
  graph_command->callback([=, &exit_code] { exit_code = graph(*graph_options, *rows); });

  auto config_options = std::make_shared<ConfigOptions>();
  auto key = std::make_shared<std::string>();
  auto config_json = std::make_shared<bool>(false);
  CLI::App* config_command = app.add_subcommand("config", "All settings with their effects");
  config_command->footer("Example: roap config --explain train.loss");
  config_options->add_to(*config_command);
  config_command->add_option("--explain", *key, "one key: type, limits, effect");
  config_command->add_flag("--json", *config_json, "as JSON");
  config_command->callback([=, &exit_code] { exit_code = config(*config_options, *key, *config_json); });

  auto doctor_json = std::make_shared<bool>(false);
  CLI::App* doctor_command = app.add_subcommand("doctor", "What this build and machine can do, and a self-test");
  doctor_command->footer("Example: roap doctor");
  doctor_command->add_flag("--json", *doctor_json, "as JSON");
  doctor_command->callback([=, &exit_code] { exit_code = doctor(*doctor_json); });
}

}  // namespace roap::bin
