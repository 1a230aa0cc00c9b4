#include "models/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/image_batch/image_batch_op.h"
#include "models/grounder.h"
#include "models/mlp_head.h"
#include "models/synthesizer.h"

namespace roap {

namespace {

constexpr int kGroundBatch = 128;  // images per evaluation batch

MlpHeadConfig head_config(const Config& config, int tasks) {
  using Kind = MlpHeadConfig::Kind;
  return {config.train.method == "mlp-onehot" ? Kind::one_hot : Kind::disjoint, tasks,
          static_cast<int>(config.model.width)};
}

Sketch make_sketch(const Config& config, int symbols) {
  const bool tree = config.model.sketch == "tree" || config.train.method == "tree";
  return tree ? Sketch::tree(symbols, static_cast<int>(config.model.depth))
              : Sketch::straight_line(symbols, static_cast<int>(config.model.lines));
}

}  // namespace

ProblemShape problem_shape(const PairSource& source) {
  const ImageSet& images = source.images();
  return {source.tasks(), source.symbols(), images.height, images.width, images.channels, images.scale, images.shift};
}

std::string AffineMap::text() const {
  return fmt::format("s -> {:.3g} s {} {:.3g}", a, b < 0 ? "-" : "+", std::abs(b));
}

/// Images of a data set -> numbers, kGroundBatch at a time.
struct Model::GroundGraph {
  Graph graph;
  TensorId pixels, index, symbols;
  std::unique_ptr<Executor> executor;

  GroundGraph(ParameterStore& store, const Model& model, int image_count) : graph(store) {
    const ProblemShape& problem = model.problem();
    const Config& config = model.config();
    pixels = graph.external("images", u8({image_count, problem.height, problem.width, problem.channels}));
    index = graph.input("image_index", i32({kGroundBatch}));
    const TensorId batch =
        image_batch(graph, "batch", pixels, index, {}, {problem.scale, problem.shift}, model.activation_type());
    const GrounderConfig grounder{config.model.grounder, config.model.stem,
                                  static_cast<int>(config.model.grounder_width)};
    symbols = graph.keep(build_grounder(graph, grounder, batch, false).symbols);
  }
};

/// (y, symbols) -> logits.
struct Model::SynthesisGraph {
  Graph graph;
  TensorId y, symbols, logits;
  std::unique_ptr<Executor> executor;

  SynthesisGraph(ParameterStore& store, const Model& model, int pairs) : graph(store) {
    y = graph.input("y", f32({model.problem().tasks, pairs}));
    symbols = graph.input("symbols", f32({pairs, model.problem().symbols}));
    logits = graph.keep(model.logits(graph, y, symbols));
  }
};

Model::Model(const Config& config, const ProblemShape& problem, DeviceKind device, StoredTaps taps)
    : config_(config), problem_(problem), sketch_(make_sketch(config, problem.symbols)), store_(device, taps) {
  ground_graphs_[1] = std::make_shared<GroundGraph>(store_, *this, 1);
  if (method_parts(config).programs) {
    const int pairs = static_cast<int>(config.train.pairs_per_step);
    synthesis_graphs_[pairs] = std::make_shared<SynthesisGraph>(store_, *this, pairs);
  }
  if (method_parts(config).head) {
    predictor_ = std::make_unique<MlpPredictor>(store_, head_config(config, problem.tasks), problem.symbols);
  }
  store_.declare_buffer(kAdamStep, {1}, Initializer::constant(0));
  store_.initialize(static_cast<std::uint64_t>(config.train.seed));
}

DType Model::activation_type() const { return config_.device.precision == "bf16" ? DType::bf16 : DType::f32; }

TensorId Model::logits(Graph& graph, TensorId y, TensorId symbols) const {
  if (config_.train.method == "free") {
    constexpr double kDeviation = 0.1;  // near-uniform choices that still differ between tasks
    return graph.parameter("free.logits", {problem_.tasks, sketch_.logit_count()}, Initializer::normal(kDeviation));
  }
  SynthesizerConfig synthesizer{static_cast<int>(config_.model.width), config_.model.input_gain,
                                config_.model.logit_spread, sketch_.logit_count()};
  if (config_.device.precision == "bf16") synthesizer.math = ProductMath::bf16;
  return build_synthesizer(graph, synthesizer, y, symbols);
}

TensorId Model::head(Graph& graph, TensorId symbols) const {
  return build_mlp_head(graph, head_config(config_, problem_.tasks), symbols);
}

Model::GroundGraph& Model::ground_graph(int image_count) {
  auto& entry = ground_graphs_[image_count];
  if (!entry) entry = std::make_shared<GroundGraph>(store_, *this, image_count);
  if (!entry->executor) entry->executor = std::make_unique<Executor>(entry->graph);
  return *entry;
}

Model::SynthesisGraph& Model::synthesis_graph(int pairs) {
  auto& entry = synthesis_graphs_[pairs];
  if (!entry) entry = std::make_shared<SynthesisGraph>(store_, *this, pairs);
  if (!entry->executor) entry->executor = std::make_unique<Executor>(entry->graph);
  return *entry;
}

std::vector<float> Model::ground(std::span<const std::uint8_t> pixels, int image_count,
                                 std::span<const std::int32_t> index, Repeats repeats) {
  if (repeats == Repeats::compute) return ground_each(pixels, image_count, index);
  std::vector<std::int32_t> distinct(index.begin(), index.end());
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const std::vector<float> symbols = ground_each(pixels, image_count, distinct);
  std::vector<float> result;
  result.reserve(index.size());
  for (const std::int32_t image : index) {
    result.push_back(symbols[static_cast<std::size_t>(std::ranges::lower_bound(distinct, image) - distinct.begin())]);
  }
  return result;
}

std::vector<float> Model::ground_each(std::span<const std::uint8_t> pixels, int image_count,
                                      std::span<const std::int32_t> index) {
  GroundGraph& ground = ground_graph(image_count);
  ground.executor->bind(ground.pixels, pixels);
  std::vector<float> symbols;
  symbols.reserve(index.size());
  std::vector<std::int32_t> batch(kGroundBatch);
  for (std::size_t begin = 0; begin < index.size(); begin += kGroundBatch) {
    const std::size_t count = std::min<std::size_t>(kGroundBatch, index.size() - begin);
    std::fill(std::copy_n(index.begin() + static_cast<std::ptrdiff_t>(begin), count, batch.begin()), batch.end(), 0);
    ground.executor->write(ground.index, std::span<const std::int32_t>(batch));
    ground.executor->run();
    const std::vector<float> numbers = ground.executor->read(ground.symbols);
    symbols.insert(symbols.end(), numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return symbols;
}

void Model::apply_gauge(const AffineMap& map) {
  const auto change = [&](const char* name, double offset) {
    const Slot slot = store_.slot(name);
    std::vector<float> values = store_.read(slot);
    for (float& x : values) x = static_cast<float>(map.a * static_cast<double>(x) + offset);
    store_.write(slot, values);
  };
  change("grounder.fc.weight", 0);
  change("grounder.fc.bias", map.b);
}

std::vector<float> Model::synthesise(int pairs, std::span<const float> y, std::span<const float> symbols) {
  SynthesisGraph& synthesis = synthesis_graph(pairs);
  synthesis.executor->write(synthesis.y, y);
  synthesis.executor->write(synthesis.symbols, symbols);
  synthesis.executor->run();
  return synthesis.executor->read(synthesis.logits);
}

std::vector<float> Model::predict(std::span<const float> symbols) { return predictor_->predict(symbols); }

}  // namespace roap
