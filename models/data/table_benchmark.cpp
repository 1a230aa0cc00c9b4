#include "models/data/table_benchmark.h"

#include <fmt/format.h>

#include "kernels/common/error.h"

namespace roap {

namespace {

class TableSource : public PairSource {
 public:
  /// `data` owns the pixels; sigma is that of the training rows for both splits.
  TableSource(std::shared_ptr<const TableData> data, const TableRows& rows, std::vector<float> sigma)
      : data_(std::move(data)), rows_(rows), sigma_(std::move(sigma)) {}

  [[nodiscard]] int tasks() const override { return data_->tasks; }
  [[nodiscard]] int symbols() const override { return data_->symbols; }
  [[nodiscard]] const ImageSet& images() const override { return data_->images; }
  [[nodiscard]] std::span<const float> sigma() const override { return sigma_; }

  void draw(const RandomKey& key, int pairs, std::span<std::int32_t> image_index, std::span<float> y) const override {
    const auto variables = static_cast<std::size_t>(symbols());
    const std::size_t rows = rows_.images.size() / variables;
    const auto count = static_cast<std::size_t>(pairs);
    for (std::size_t b = 0; b < count; ++b) {
      const std::size_t row = bounded(philox(key, b).x[0], static_cast<std::uint32_t>(rows));
      for (std::size_t j = 0; j < variables; ++j) image_index[b * variables + j] = rows_.images[row * variables + j];
      for (std::size_t t = 0; t < sigma_.size(); ++t) y[t * count + b] = rows_.y[t * rows + row];
    }
  }

 private:
  std::shared_ptr<const TableData> data_;
  const TableRows& rows_;  ///< of data_
  std::vector<float> sigma_;
};

std::vector<float> training_deviations(const TableData& data) {
  const std::size_t rows = data.train.y.size() / static_cast<std::size_t>(data.tasks);
  std::vector<float> sigma;
  for (std::size_t t = 0; t < static_cast<std::size_t>(data.tasks); ++t) {
    sigma.push_back(deviation(std::span(data.train.y).subspan(t * rows, rows)));
    if (sigma.back() > 0) continue;
    throw DataError(fmt::format("{}: task {}: y is the same in all {} training rows, so there is nothing to learn",
                                data.label, data.task_names.empty() ? std::to_string(t) : data.task_names[t], rows));
  }
  return sigma;
}

}  // namespace

Benchmark make_table_benchmark(TableData moved) {
  const auto data = std::make_shared<TableData>(std::move(moved));
  data->images.pixels = data->pixels;
  const std::vector<float> sigma = training_deviations(*data);
  std::vector<Gold::Task> tasks;
  for (const programs::Expression& formula : data->formulas) {
    tasks.push_back({formula, static_cast<int>(formula.operator_count())});
  }
  Benchmark benchmark;
  benchmark.train = std::make_unique<TableSource>(data, data->train, sigma);
  benchmark.test = std::make_unique<TableSource>(data, data->test, sigma);
  benchmark.gold =
      std::make_unique<Gold>(std::move(tasks), std::vector<std::uint8_t>{}, std::vector<std::uint8_t>{}, data->symbols);
  benchmark.task_names = data->task_names;
  return benchmark;
}

}  // namespace roap
