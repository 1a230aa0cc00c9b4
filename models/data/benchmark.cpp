#include "models/data/benchmark.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/common/error.h"
#include "kernels/pair_batch/pair_batch_op.h"

namespace roap {

namespace {

constexpr int kLevels = search::kLevels;

/// The formulas' values, shared by both splits.
struct Targets {
  int tasks = 0;
  std::vector<float> tables;  ///< [T, kLevels^V], see FormulaPool::value_table
  std::vector<float> sigma;   ///< [T]
};

/// What the draws of a split are made from: images by class and the tables.
struct DrawData {
  ClassImages classes;
  std::shared_ptr<const Targets> targets;
};

/// Draws inside the graph.
class GraphStream : public PairStream {
 public:
  struct Tensors {
    TensorId class_begin, class_images, tables, image_index, y;
  };
  GraphStream(const Tensors& tensors, std::shared_ptr<const DrawData> data)
      : PairStream(tensors.image_index, tensors.y), tensors_(tensors), data_(std::move(data)) {}

  void bind(Executor& executor) const override {
    executor.bind(tensors_.class_begin, std::span<const std::int32_t>(data_->classes.begin));
    executor.bind(tensors_.class_images, std::span<const std::int32_t>(data_->classes.images));
    executor.bind(tensors_.tables, std::span<const float>(data_->targets->tables));
  }

 private:
  Tensors tensors_;
  std::shared_ptr<const DrawData> data_;
};

/// Draws symbols uniformly, an image of each symbol's class uniformly, and y from the tasks' tables.
class BenchmarkSource : public PairSource {
 public:
  BenchmarkSource(const BenchmarkImages& images, LabelledSplit split, const char* name, int symbols,
                  std::shared_ptr<const Targets> targets)
      : pixels_(std::move(split.pixels)), symbols_(symbols) {
    images_ = {static_cast<int>(split.labels.size()),
               images.height,
               images.width,
               images.channels,
               pixels_,
               images.scale,
               images.shift};
    DrawData data;
    data.targets = std::move(targets);
    data.classes = images_by_class(split.labels, 0, kLevels);
    for (int label = 0; label < kLevels; ++label) {
      const auto begin = data.classes.begin.begin() + label;
      if (begin[0] == begin[1]) {
        throw DataError(
            fmt::format("the {} images hold none with label {}: every one of the ten classes is needed", name, label));
      }
    }
    data_ = std::make_shared<DrawData>(std::move(data));
  }

  [[nodiscard]] int tasks() const override { return data_->targets->tasks; }
  [[nodiscard]] int symbols() const override { return symbols_; }
  [[nodiscard]] const ImageSet& images() const override { return images_; }
  [[nodiscard]] std::span<const float> sigma() const override { return data_->targets->sigma; }

  void draw(const RandomKey& key, int pairs, std::span<std::int32_t> image_index, std::span<float> y) const override {
    const std::array<std::uint32_t, 4> words{key.seed_low, key.seed_high, key.stream, key.step};
    cpu::pair_batch({tasks(), pairs, symbols_, kLevels}, words.data(), data_->classes.begin.data(),
                    data_->classes.images.data(), data_->targets->tables.data(), image_index.data(), y.data());
  }

  [[nodiscard]] std::unique_ptr<PairStream> stream(Graph& graph, TensorId key, int pairs) const override {
    GraphStream::Tensors t;
    const auto images = static_cast<std::int64_t>(data_->classes.images.size());
    const auto values = static_cast<std::int64_t>(data_->targets->tables.size());
    t.class_begin = graph.external("pairs.class_begin", i32({kLevels + 1}));
    t.class_images = graph.external("pairs.class_images", i32({images}));
    t.tables = graph.external("pairs.tables", f32({tasks(), values / tasks()}));
    const std::vector<TensorId> drawn =
        graph.apply("pairs", std::make_shared<PairBatchOp>(PairBatchParams{pairs, symbols_}),
                    {key, t.class_begin, t.class_images, t.tables});
    t.image_index = drawn[0];
    t.y = drawn[1];
    return std::make_unique<GraphStream>(t, data_);
  }

 private:
  std::vector<std::uint8_t> pixels_;
  int symbols_;
  ImageSet images_;
  std::shared_ptr<const DrawData> data_;
};

}  // namespace

ClassImages images_by_class(std::span<const std::uint8_t> labels, int first, int classes) {
  ClassImages result;
  for (int label = first; label < first + classes; ++label) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == label) result.images.push_back(static_cast<std::int32_t>(i));
    }
    result.begin.push_back(static_cast<std::int32_t>(result.images.size()));
  }
  return result;
}

float deviation(std::span<const float> table) {
  double mean = 0;
  for (const float y : table) mean += y;
  mean /= static_cast<double>(table.size());
  double variance = 0;
  for (const float y : table) variance += (y - mean) * (y - mean);
  return static_cast<float>(std::sqrt(variance / static_cast<double>(table.size())));
}

Benchmark make_benchmark(BenchmarkImages images, const search::FormulaPool& pool, int count, std::uint64_t seed,
                         int first) {
  auto targets = std::make_shared<Targets>();
  targets->tasks = count;
  std::vector<Gold::Task> tasks;
  const std::vector<std::size_t> drawn = pool.draw_tasks(static_cast<std::size_t>(first + count), seed);
  for (const std::size_t index : std::span(drawn).subspan(static_cast<std::size_t>(first))) {
    const search::Formula& formula = pool.formula(index);
    const std::vector<float> table = pool.value_table(index);
    targets->tables.insert(targets->tables.end(), table.begin(), table.end());
    targets->sigma.push_back(deviation(table));
    tasks.push_back({formula.expression, formula.operators});
  }
  Benchmark benchmark;
  benchmark.gold = std::make_unique<Gold>(std::move(tasks), images.train.labels, images.test.labels, pool.variables());
  LabelledSplit train = std::move(images.train);
  LabelledSplit test = std::move(images.test);
  benchmark.train = std::make_unique<BenchmarkSource>(images, std::move(train), "training", pool.variables(), targets);
  benchmark.test = std::make_unique<BenchmarkSource>(images, std::move(test), "test", pool.variables(), targets);
  return benchmark;
}

}  // namespace roap
