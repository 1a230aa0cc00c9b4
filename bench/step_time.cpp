// Times whole training steps of a preset, and each kind of operator in them:
//     step_time STEPS PRESET [section.key=value ...]
// Prints one JSON object: seconds of a step (median and fastest), median seconds by operator type, memory. The
// counterpart of bench/peers/torch_roap.py.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/device.h"
#include "io/config.h"
#include "io/experiment.h"
#include "models/trainer.h"

namespace {

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

int run(int argc, char** argv) {
  if (argc < 3) throw roap::UsageError("usage: step_time STEPS PRESET [section.key=value ...]");
  const int steps = std::max(1, std::atoi(argv[1]));
  const std::vector<std::string> settings(argv + 3, argv + argc);
  const roap::Config config = roap::io::load_config(argv[2], settings);
  const int threads = roap::set_threads(static_cast<int>(config.device.threads));
  const roap::io::Experiment experiment = roap::io::load_experiment(config);
  roap::Model model(config, roap::problem_shape(*experiment.benchmark.train));
  roap::Trainer trainer(model, *experiment.benchmark.train);
  trainer.step();  // the first one touches all memory

  std::vector<double> seconds;
  std::map<std::string, std::vector<double>> by_operator;
  const auto& nodes = trainer.graph().nodes();
  for (int step = 0; step < steps; ++step) {
    trainer.executor().start_timing();
    const auto before = std::chrono::steady_clock::now();
    trainer.step();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
    std::map<std::string, double> sums;
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      sums[std::string(nodes[n].op->type())] += trainer.executor().node_seconds()[n];
    }
    for (const auto& [type, sum] : sums) by_operator[type].push_back(sum);
  }
  nlohmann::ordered_json json{{"threads", threads},
                              {"steps", steps},
                              {"step", median(seconds)},
                              {"fastest_step", *std::min_element(seconds.begin(), seconds.end())}};
  for (const auto& [type, values] : by_operator) json["by_operator"][type] = median(values);
  constexpr double kMiB = 1 << 20;
  json["arena_mib"] = static_cast<double>(trainer.executor().plan().arena_bytes) / kMiB;
  json["weights_mib"] = static_cast<double>(model.store().bytes()) / kMiB;
  json["peak_resident_mib"] = static_cast<double>(roap::peak_resident_bytes()) / kMiB;
  fmt::print("{}\n", json.dump(1));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const roap::Error& error) {
    fmt::print(stderr, "step_time: {}\n", error.what());
    return static_cast<int>(error.code());
  }
}
