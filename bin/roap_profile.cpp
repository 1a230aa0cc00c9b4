#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bin/roap_commands.h"
#include "bin/roap_progress.h"
#include "engine/roofline.h"
#include "io/model_files.h"

namespace roap::bin {

namespace {

struct ProfileArguments {
  std::string run, device;
  ConfigOptions config;
  int steps = 20;
  std::size_t rows = 40;
  bool json = false;
};

/// What a node, or all nodes of an operator, took in one step.
struct Row {
  std::string name, type;
  double seconds = 0, floor = 0;
  Work work;
};

class Profile {
 public:
  /// Times `steps` training steps, node by node.
  Profile(Trainer& trainer, int steps) {
    constexpr int kWarmUpSteps = 3;
    Executor& executor = trainer.executor();
    for (int i = 0; i < kWarmUpSteps; ++i) trainer.step();
    whole_ = time_whole_steps(trainer, steps);
    executor.start_timing();
    for (int i = 0; i < steps; ++i) trainer.step();
    executor.stop_timing();
    executor.start_counting();
    trainer.step();
    const std::vector<Work> work = executor.node_work();
    executor.stop_counting();
    ceilings_ = executor.backend().ceilings();
    const Graph& graph = trainer.graph();
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      const Node& node = graph.nodes()[n];
      Row row{node.name, std::string(node.op->type()), executor.node_seconds()[n] / steps, 0, work[n]};
      row.floor = floor_seconds(row.work, ceilings_);
      rows_.push_back(row);
    }
  }

  [[nodiscard]] double whole() const { return whole_; }
  [[nodiscard]] const Ceilings& ceilings() const { return ceilings_; }
  [[nodiscard]] const std::vector<Row>& nodes() const { return rows_; }
  [[nodiscard]] std::vector<Row> by_operator() const {
    std::vector<Row> sums;
    for (const Row& row : rows_) {
      auto sum = std::find_if(sums.begin(), sums.end(), [&](const Row& s) { return s.type == row.type; });
      if (sum == sums.end()) sum = sums.insert(sum, Row{row.type, row.type, 0, 0, {}});
      sum->seconds += row.seconds;
      sum->floor += row.floor;
      sum->work.flop += row.work.flop;
      sum->work.bytes += row.work.bytes;
    }
    return sums;
  }

 private:
  static double time_whole_steps(Trainer& trainer, int steps) {
    const double started = monotonic_seconds();
    for (int i = 0; i < steps; ++i) {
      trainer.submit();
      if (trainer.in_flight() == Trainer::kMostInFlight) trainer.collect();
    }
    while (trainer.in_flight() > 0) trainer.collect();
    return (monotonic_seconds() - started) / steps;
  }
  std::vector<Row> rows_;
  Ceilings ceilings_;
  double whole_ = 0;
};

double total_seconds(const std::vector<Row>& rows) {
  return std::accumulate(rows.begin(), rows.end(), 0.0, [](double sum, const Row& row) { return sum + row.seconds; });
}

void print_table(const char* title, std::vector<Row> rows, std::size_t most) {
  const double total = total_seconds(rows);
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  fmt::print("{:<44} {:>10} {:>6} {:>10} {:>9} {:>9} {:>8}\n", title, "us", "share", "MB", "GFLOP", "GFLOP/s",
             "of floor");
  for (std::size_t i = 0; i < std::min(most, rows.size()); ++i) {
    const Row& row = rows[i];
    fmt::print("{:<44} {:>10.1f} {:>5.1f}% {:>10.3f} {:>9.4f} {:>9.1f} {:>7.1f}%\n", row.name, 1e6 * row.seconds,
               100 * row.seconds / total, 1e-6 * row.work.bytes, 1e-9 * row.work.flop,
               1e-9 * row.work.flop / row.seconds, 100 * row.floor / row.seconds);
  }
  if (rows.size() > most) fmt::print("... and {} more\n", rows.size() - most);
}

nlohmann::ordered_json rows_json(const std::vector<Row>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    json.push_back({{"name", row.name},
                    {"operator", row.type},
                    {"seconds", row.seconds},
                    {"floor_seconds", row.floor},
                    {"bytes", row.work.bytes},
                    {"flop", row.work.flop}});
  }
  return json;
}

int profile(const ProfileArguments& arguments) {
  auto [config, table] =
      arguments.run.empty()
          ? arguments.config.load()
          : io::OpenedConfig{io::RunFolder::open(arguments.run, io::RunFolder::Access::read).read_config()};
  const std::string config_hash = io::config_sha256(config);
  if (!arguments.device.empty()) config.device.name = arguments.device;
  config.train.runs = 1;  // a step takes as long in each of them
  const DeviceKind device = prepare_device(config);
  const io::Experiment experiment = io::load_experiment(config, std::move(table));
  Model model(config, problem_shape(*experiment.benchmark.train), device);
  if (!arguments.run.empty()) {
    io::restore_model(io::load_newest_intact(arguments.run, warn, config_hash), model, true);
  }
  Trainer trainer(model, *experiment.benchmark.train);
  const Profile profile(trainer, arguments.steps);
  const std::string name = backend_of(device).name();
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"device", name},
                                              {"steps", arguments.steps},
                                              {"step_seconds", profile.whole()},
                                              {"node_seconds", total_seconds(profile.nodes())},
                                              {"bytes_per_second", profile.ceilings().bytes},
                                              {"f32_flop_per_second", profile.ceilings().f32_flop},
                                              {"bf16_flop_per_second", profile.ceilings().bf16_flop},
                                              {"operators", rows_json(profile.by_operator())},
                                              {"nodes", rows_json(profile.nodes())}}
                           .dump(1));
    return 0;
  }
  print_table("node", profile.nodes(), arguments.rows);
  fmt::print("\n");
  print_table("operator", profile.by_operator(), arguments.rows);
  fmt::print("\n{}: whole step {:.3f} ms, sum of its nodes {:.3f} ms ({} steps each)\n", name, 1e3 * profile.whole(),
             1e3 * total_seconds(profile.nodes()), arguments.steps);
  fmt::print(
      "floor: counted bytes at {:.0f} GB/s or counted FLOP at {:.0f} GFLOP/s{}, whichever takes longer\n",
      1e-9 * profile.ceilings().bytes, 1e-9 * profile.ceilings().f32_flop,
      profile.ceilings().bf16_flop > 0 ? fmt::format(" ({:.0f} for bf16)", 1e-9 * profile.ceilings().bf16_flop) : "");
  return 0;
}

}  // namespace

void add_profile_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ProfileArguments>();
  CLI::App* command =
      app.add_subcommand("profile", "Time of every node of a training step, against the least it can take");
  command->footer(
      "Example: roap profile runs/first --steps 50\n         roap profile --preset paper --set "
      "train.pairs_per_step=64");
  command->add_option("run", arguments->run, "run folder; without one, a new model of the options below");
  arguments->config.add_to(*command);
  command->add_option("--steps", arguments->steps, "steps that are timed")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--rows", arguments->rows, "rows of each table")->capture_default_str();
  command->add_flag("--json", arguments->json, "everything as JSON");
  command->callback([=, &exit_code] { exit_code = profile(*arguments); });
}

}  // namespace roap::bin
