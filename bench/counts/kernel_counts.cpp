#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/experiments.h"
#include "engine/cuda/cuda.h"
#include "kernels/common/error.h"
#include "models/trainer.h"
#include "tests/simt/counts.h"

// What the kernels of one training step do, counted on the emulator operator by operator, beside the operators' own
// counts of the work: kernel_counts.py makes a page of it. Nothing here is a time.

namespace roap::bench {

namespace {

using Json = nlohmann::ordered_json;

/// Nodes of one Op::type().
struct OperatorCounts {
  int nodes = 0;
  Work work;         ///< of the nodes on this device, by their sizes
  double saved = 0;  ///< FLOP that are not useful by the values that nodes work on; counted on the CPU
  std::map<simt::KernelId, simt::KernelCounts> kernels;
};
using StepCounts = std::map<std::string, OperatorCounts>;

void add(simt::KernelCounts& sum, const simt::KernelCounts& c) {
  sum.launches += c.launches, sum.blocks += c.blocks, sum.threads += c.threads;
  sum.barriers += c.barriers, sum.mma += c.mma, sum.wgmma += c.wgmma, sum.multiplies += c.multiplies;
  sum.copied_bytes += c.copied_bytes, sum.loaded_bytes += c.loaded_bytes, sum.stored_bytes += c.stored_bytes;
  sum.shared_bytes = std::max(sum.shared_bytes, c.shared_bytes);
  sum.block_threads = std::max(sum.block_threads, c.block_threads);
}

/// The kernels of every node of a step. The step before it is the first one, which has the same launches.
void count_kernels(const io::Config& config, const PairSource& source, StepCounts& counts) {
  Model model(config, problem_shape(source), DeviceKind::cuda);
  Trainer trainer(model, source);
  Executor& executor = trainer.executor();
  executor.start_counting();
  trainer.step();
  const auto& nodes = trainer.graph().nodes();
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    OperatorCounts& of_type = counts[std::string(nodes[n].op->type())];
    const Work& work = executor.node_work()[n];
    ++of_type.nodes;
    of_type.work.bytes += work.bytes;
    of_type.work.flop += work.flop;
    of_type.work.dense_flop += work.dense();
    simt::reset_kernel_counts();
    executor.run(n, n + 1);
    for (const auto& [id, kernel] : simt::kernel_counts()) add(of_type.kernels[id], kernel);
  }
}

/// Rows that need not be computed twice, and winners: known from the values, which the CPU looks at.
void count_useful_work(const io::Config& config, const PairSource& source, StepCounts& counts) {
  Model model(config, problem_shape(source), DeviceKind::cpu);
  Trainer trainer(model, source);
  trainer.executor().start_counting();
  trainer.step();
  const Graph& graph = trainer.graph();
  const auto specs = [&](const std::vector<TensorId>& tensors) {
    Specs list;
    for (const TensorId tensor : tensors) list.push_back(graph.spec(tensor));
    return list;
  };
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    const double by_sizes = node.op->work(specs(node.inputs), specs(node.outputs)).flop;
    counts[std::string(node.op->type())].saved += by_sizes - trainer.executor().node_work()[n].flop;
  }
}

/// Where a function lies in the program, as nm shows it.
std::uintptr_t offset_of(const void* kernel) {
  extern const char program_start asm("__executable_start");
  return reinterpret_cast<std::uintptr_t>(kernel) - reinterpret_cast<std::uintptr_t>(&program_start);
}

Json to_json(const simt::KernelId& id, const simt::KernelCounts& c) {
  return {{"name", id.first},
          {"offset", offset_of(id.second)},
          {"launches", c.launches},
          {"blocks", c.blocks},
          {"threads", c.threads},
          {"block_threads", c.block_threads},
          {"shared_bytes", c.shared_bytes},
          {"barriers", c.barriers},
          {"mma", c.mma},
          {"wgmma", c.wgmma},
          {"multiplies", c.multiplies},
          {"copied_bytes", c.copied_bytes},
          {"loaded_bytes", c.loaded_bytes},
          {"stored_bytes", c.stored_bytes}};
}

Json to_json(const StepCounts& counts) {
  Json operators = Json::array();
  for (const auto& [type, c] : counts) {
    Json kernels = Json::array();
    for (const auto& [id, kernel] : c.kernels) kernels.push_back(to_json(id, kernel));
    operators.push_back({{"operator", type},
                         {"nodes", c.nodes},
                         {"useful_multiplies", (c.work.flop - c.saved) / 2},
                         {"dense_multiplies", c.work.dense_flop / 2},
                         {"least_bytes", c.work.bytes},
                         {"kernels", kernels}});
  }
  return operators;
}

int run(int argc, char** argv) {
  CLI::App app("Counts what the CUDA kernels of a training step of the published setting do, on the emulator; JSON.");
  std::vector<std::string> settings;
  app.add_option("--set", settings, "section.key=value, over 64 pairs, 16 tasks and bf16");
  CLI11_PARSE(app, argc, argv);
  settings.insert(settings.begin(), {"train.pairs_per_step=64", "tasks.count=16", "device.precision=bf16"});
  io::Config config = io::load_config("paper", settings);
  const io::Experiment experiment = load_or_imitate(config);
  use_cuda(0);
  StepCounts counts;
  count_kernels(config, *experiment.benchmark.train, counts);
  config.device.precision = "f32";
  count_useful_work(config, *experiment.benchmark.train, counts);
  const Json result{{"pairs", config.train.pairs_per_step},
                    {"tasks", config.tasks.count},
                    {"settings", settings},
                    {"operators", to_json(counts)}};
  fmt::print("{}\n", result.dump(1));
  return 0;
}

}  // namespace

}  // namespace roap::bench

int main(int argc, char** argv) {
  try {
    return roap::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "kernel_counts: {}\n", error.what());
    return 1;
  }
}
