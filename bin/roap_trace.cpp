#include <fmt/format.h>

#include <cmath>
#include <deque>

#include "bin/roap_commands.h"
#include "io/model_files.h"
#include "io/safetensors.h"
#include "models/trainer.h"

namespace roap::bin {

namespace {

using io::extents;

struct TraceArguments {
  ConfigOptions config;
  std::string out;
  std::uint64_t step = 0;
};

/// Collects the tensors of one step; the file format is that of docs/formats.md.
class TraceFile {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
    values_.push_back(std::move(values));
    writer_.add(name, std::move(shape), std::span<const float>(values_.back()));
  }
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::int32_t> values) {
    indices_.push_back(std::move(values));
    writer_.add(name, std::move(shape), std::span<const std::int32_t>(indices_.back()));
  }
  /// Nothing where the method has no such tensor.
  void add(const std::string& name, const Trainer& trainer, Executor& executor, TensorId tensor) {
    if (!tensor.present()) return;
    add(name, extents(trainer.graph().shape(tensor)), executor.read(tensor));
  }
  void add_store(const std::string& prefix, const ParameterStore& store, Arena arena) {
    const bool buffers = arena == Arena::buffers;
    for (const ParameterInfo& info : buffers ? store.buffers() : store.weights()) {
      if (info.name.starts_with("adam.")) continue;
      const Slot slot = store.slot(info.name, arena);
      add(prefix + info.name, extents(slot.shape), store.read(slot));
    }
  }
  void metadata(const std::string& key, const std::string& value) { writer_.set_metadata(key, value); }
  void write(const std::string& path) const { writer_.write(path); }

 private:
  io::SafetensorsWriter writer_;
  std::deque<std::vector<float>> values_;
  std::deque<std::vector<std::int32_t>> indices_;
};

std::vector<float> to_channels_first(const std::vector<float>& x, const Shape& shape) {
  const std::int64_t pixels = shape[1] * shape[2];
  std::vector<float> y(x.size());
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t p = 0; p < pixels; ++p) {
      for (std::int64_t c = 0; c < shape[3]; ++c) {
        y[static_cast<std::size_t>((n * shape[3] + c) * pixels + p)] =
            x[static_cast<std::size_t>((n * pixels + p) * shape[3] + c)];
      }
    }
  }
  return y;
}

/// The noise that gumbel_softmax adds to the logits, which the engine never stores: [T S, P].
std::vector<float> gumbel_noise(const RandomKey& key, const Shape& z, const std::string& method) {
  std::vector<float> noise(static_cast<std::size_t>(z.count()), 0.0f);
  if (method == "softmax") return noise;
  for (std::size_t e = 0; e < noise.size(); ++e) {
    const double u = open_uniform(philox(key, e / 4).x[e % 4]);
    noise[e] = static_cast<float>(-std::log(-std::log(u)));
  }
  return noise;
}

void add_step_tensors(TraceFile& file, Trainer& trainer, Executor& executor) {
  const Trainer::Tensors& t = trainer.tensors();
  const Shape images = trainer.graph().shape(t.pixels);
  file.add("batch.inputs", {images[0], images[3], images[1], images[2]},
           to_channels_first(executor.read(t.pixels), images));
  file.add("batch.y", trainer, executor, t.y);
  file.add("sigma", trainer, executor, t.sigma);
  file.add("symbols", trainer, executor, t.symbols);
  file.add("z", trainer, executor, t.z);
  file.add("yhat", trainer, executor, t.yhat);
  file.add("length", trainer, executor, t.length);
  file.add("evidence", trainer, executor, t.evidence);
  file.add("loss", trainer, executor, t.loss);
  file.add("program_loss", trainer, executor, t.program_loss);
}

/// Which pair won each maximum over the set: where two are equal up to rounding, a gradient depends on the choice.
void add_winners(TraceFile& file, const Trainer& trainer, Executor& executor) {
  constexpr std::string_view kPrefix = "synthesizer.";
  for (const Node& node : trainer.graph().nodes()) {
    if (node.op->type() != "point_mlp") continue;
    const TensorId winners = node.outputs[1];
    file.add("winner." + node.name.substr(kPrefix.size()), extents(trainer.graph().shape(winners)),
             executor.read_i32(winners));
  }
}

/// What the posterior weighs: formulas as text, in order, and their penalties' unit, the operators.
void add_formulas(TraceFile& file, const Config& config, int symbols, double temperature) {
  const FormulaSet set(config.search, symbols);
  nlohmann::json formulas = nlohmann::json::array();
  nlohmann::json operators = nlohmann::json::array();
  for (std::size_t i = 0; i < set.formulas().size(); ++i) {
    if (!std::isfinite(set.graph()->penalty[i])) continue;  // a constant
    formulas.push_back(set.formulas().expression(i).text());
    operators.push_back(set.formulas().operator_count(i));
  }
  file.metadata("formulas", formulas.dump());
  file.metadata("operators", operators.dump());
  file.metadata("temperature", fmt::format("{}", temperature));
}

int trace(const TraceArguments& arguments) {
  auto [config, table] = arguments.config.load();
  const DeviceKind device = prepare_device(config);
  const io::Experiment experiment = io::load_experiment(config, std::move(table));
  Model model(config, problem_shape(*experiment.benchmark.train), device);
  Trainer trainer(model, *experiment.benchmark.train, {.keep_everything = true});
  while (trainer.state().step < arguments.step) {
    trainer.step();
    if (trainer.at_run_end()) trainer.end_run();
  }

  TraceFile file;
  file.add_store("param.", model.store(), Arena::weights);
  file.add_store("moment1.", model.store(), Arena::moment1);
  file.add_store("moment2.", model.store(), Arena::moment2);
  file.add_store("buffer.", model.store(), Arena::buffers);
  if (const TensorId tensor = trainer.tensors().z; tensor.present()) {
    const Shape z = trainer.graph().shape(tensor);
    file.add("noise.gumbel", extents(z), gumbel_noise(trainer.gumbel_key(arguments.step), z, config.train.method));
  }
  const Trainer::Schedule schedule = trainer.schedule(arguments.step);
  const TensorId logits = trainer.tensors().logits;
  const bool free_logits = config.train.method == "free";  // weights themselves, which the step changes
  if (free_logits) file.add("logits", trainer, trainer.executor(), logits);
  const StepReport report = trainer.step();
  if (!free_logits) file.add("logits", trainer, trainer.executor(), logits);
  if (report.skipped)
    warn(fmt::format("step {} is not finite ({}): weights did not change", arguments.step, report.diagnosis));
  add_step_tensors(file, trainer, trainer.executor());
  add_winners(file, trainer, trainer.executor());
  file.add_store("grad.", model.store(), Arena::gradients);
  file.add_store("after.", model.store(), Arena::weights);
  file.metadata("config", io::to_json(config).dump());
  file.metadata("lr", fmt::format("{}", schedule.rate));
  file.metadata("grounder_lr", fmt::format("{}", schedule.grounder_rate));
  file.metadata("sharpness", fmt::format("{}", schedule.sharpness));
  file.metadata("lambda", fmt::format("{}", schedule.lambda));
  file.metadata("loss_floor", fmt::format("{}", schedule.loss_floor));
  if (method_parts(config).posterior) add_formulas(file, config, model.problem().symbols, schedule.temperature);
  file.metadata("gauge_a", fmt::format("{}", report.gauge.a));
  file.metadata("gauge_b", fmt::format("{}", report.gauge.b));
  file.metadata("step", fmt::format("{}", arguments.step));
  file.write(arguments.out);
  fmt::print("step {}: loss {:.6f}, written to {}\n", arguments.step, report.loss, arguments.out);
  return 0;
}

}  // namespace

void add_trace_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<TraceArguments>();
  CLI::App* command = app.add_subcommand("trace", "Write one training step, whole, for recomputation elsewhere");
  command->footer("Example: roap trace --preset digits --step 10 --out step10.safetensors");
  arguments->config.add_to(*command);
  command->add_option("--step", arguments->step, "train that many steps first")->capture_default_str();
  command->add_option("--out", arguments->out, "safetensors file to write")->required();
  command->callback([=, &exit_code] { exit_code = trace(*arguments); });
}

}  // namespace roap::bin
