#include "models/data/benchmark.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/common/error.h"

namespace roap {

namespace {

constexpr int kLevels = search::kLevels;

/// Draws symbols uniformly, an image of each symbol's class uniformly, and y from the tasks' tables.
class BenchmarkSource : public PairSource {
 public:
  BenchmarkSource(const BenchmarkImages& images, LabelledSplit split, const char* name, int symbols,
                  std::shared_ptr<const std::vector<std::vector<float>>> tables,
                  std::shared_ptr<const std::vector<float>> sigma)
      : pixels_(std::move(split.pixels)), symbols_(symbols), tables_(std::move(tables)), sigma_(std::move(sigma)) {
    images_ = {static_cast<int>(split.labels.size()),
               images.height,
               images.width,
               images.channels,
               pixels_,
               images.scale,
               images.shift};
    for (std::size_t i = 0; i < split.labels.size(); ++i)
      by_class_[split.labels[i]].push_back(static_cast<std::int32_t>(i));
    for (int label = 0; label < kLevels; ++label) {
      if (by_class_[static_cast<std::size_t>(label)].empty()) {
        throw DataError(
            fmt::format("the {} images hold none with label {}: every one of the ten classes is needed", name, label));
      }
    }
  }

  [[nodiscard]] int tasks() const override { return static_cast<int>(tables_->size()); }
  [[nodiscard]] int symbols() const override { return symbols_; }
  [[nodiscard]] const ImageSet& images() const override { return images_; }
  [[nodiscard]] std::span<const float> sigma() const override { return *sigma_; }

  void draw(const RandomKey& key, int pairs, std::span<std::int32_t> image_index, std::span<float> y) const override {
    for (int b = 0; b < pairs; ++b) {
      std::size_t row = 0;
      for (int j = 0; j < symbols_; ++j) {
        const std::size_t position = static_cast<std::size_t>(b * symbols_ + j);
        const Philox4 bits = philox(key, position);
        const std::uint32_t label = bounded(bits.x[0], kLevels);
        const auto& candidates = by_class_[label];
        image_index[position] = candidates[bounded(bits.x[1], static_cast<std::uint32_t>(candidates.size()))];
        row = row * kLevels + label;
      }
      for (std::size_t t = 0; t < tables_->size(); ++t) {
        y[t * static_cast<std::size_t>(pairs) + static_cast<std::size_t>(b)] = (*tables_)[t][row];
      }
    }
  }

 private:
  std::vector<std::uint8_t> pixels_;
  int symbols_;
  std::shared_ptr<const std::vector<std::vector<float>>> tables_;
  std::shared_ptr<const std::vector<float>> sigma_;
  ImageSet images_;
  std::array<std::vector<std::int32_t>, kLevels> by_class_;
};

float deviation(const std::vector<float>& table) {
  double mean = 0;
  for (const float y : table) mean += y;
  mean /= static_cast<double>(table.size());
  double variance = 0;
  for (const float y : table) variance += (y - mean) * (y - mean);
  return static_cast<float>(std::sqrt(variance / static_cast<double>(table.size())));
}

}  // namespace

Benchmark make_benchmark(BenchmarkImages images, const search::FormulaPool& pool, int count, std::uint64_t seed) {
  auto tables = std::make_shared<std::vector<std::vector<float>>>();
  auto sigma = std::make_shared<std::vector<float>>();
  std::vector<Gold::Task> tasks;
  for (const std::size_t index : pool.draw_tasks(static_cast<std::size_t>(count), seed)) {
    const search::Formula& formula = pool.formula(index);
    tables->push_back(pool.value_table(index));
    sigma->push_back(deviation(tables->back()));
    tasks.push_back({formula.expression, formula.polynomial, formula.operators, tables->back()});
  }
  Benchmark benchmark;
  benchmark.gold = std::make_unique<Gold>(std::move(tasks), images.train.labels, images.test.labels, pool.variables());
  LabelledSplit train = std::move(images.train);
  LabelledSplit test = std::move(images.test);
  benchmark.train =
      std::make_unique<BenchmarkSource>(images, std::move(train), "training", pool.variables(), tables, sigma);
  benchmark.test = std::make_unique<BenchmarkSource>(images, std::move(test), "test", pool.variables(), tables, sigma);
  return benchmark;
}

}  // namespace roap
