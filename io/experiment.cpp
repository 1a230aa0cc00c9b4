#include "io/experiment.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/cifar10.h"
#include "io/digits.h"
#include "kernels/common/error.h"

namespace roap::io {

namespace {

constexpr std::string_view kCifarPrefix = "cifar10:";
constexpr std::string_view kTablePrefix = "table:";

BenchmarkImages to_benchmark_images(TrainTestImages images) {
  BenchmarkImages result;
  result.height = images.train.height;
  result.width = images.train.width;
  result.channels = images.train.channels;
  result.train = {std::move(images.train.pixels), std::move(images.train.labels)};
  result.test = {std::move(images.test.pixels), std::move(images.test.labels)};
  return result;
}

BenchmarkImages load_images(const std::string& source) {
  if (source == "digits") {
    BenchmarkImages images = to_benchmark_images(load_digits());
    images.scale.fill(2.0f / 255.0f);  // to -1..1
    images.shift.fill(-1.0f);
    return images;
  }
  if (source.starts_with(kCifarPrefix)) {
    BenchmarkImages images = to_benchmark_images(load_cifar10(source.substr(kCifarPrefix.size())));
    // Means and deviations of CIFAR-10's training pixels per channel (red, green, blue), of pixel / 255.
    constexpr std::array<float, 3> mean{0.4914f, 0.4822f, 0.4465f};
    constexpr std::array<float, 3> deviation{0.2470f, 0.2435f, 0.2616f};
    for (std::size_t c = 0; c < mean.size(); ++c) {
      images.scale[c] = 1.0f / (255.0f * deviation[c]);
      images.shift[c] = -mean[c] / deviation[c];
    }
    return images;
  }
  throw UsageError(fmt::format("unknown data source \"{}\": expected digits, cifar10:DIR or table:FILE.csv", source));
}

/// The file of a table source, or nothing.
std::optional<std::string> table_file(const std::string& source) {
  if (!source.starts_with(kTablePrefix)) return std::nullopt;
  return source.substr(kTablePrefix.size());
}

search::FormulaPool formula_pool(const Config& config) {
  return search::FormulaPool::enumerate(static_cast<int>(config.tasks.symbols),
                                        static_cast<int>(config.tasks.max_operators));
}

}  // namespace

OpenedConfig open_data(Config config) {
  const std::optional<std::string> file = table_file(config.data.source);
  if (!file) return {std::move(config)};
  ImageTable table = read_image_table(*file);
  apply_setting(config, fmt::format("tasks.count={}", table.tasks.tasks.size()));
  apply_setting(config, fmt::format("tasks.symbols={}", table.tasks.variables));
  return {std::move(config), std::move(table)};
}

Experiment load_experiment(const Config& config, std::optional<ImageTable> table) {
  if (!table) return load_experiment(config);
  TableData data = load_pairs(*table);
  table.reset();
  if (data.tasks != config.tasks.count || data.symbols != config.tasks.symbols) {
    throw DataError(fmt::format("{}: {} tasks with {} images in a row, but the run has {} tasks with {}", data.label,
                                data.tasks, data.symbols, config.tasks.count, config.tasks.symbols));
  }
  return {formula_pool(config), make_table_benchmark(std::move(data))};
}

Experiment load_experiment(const Config& config, const std::string& data_override, TaskSet task_set) {
  const std::string& source = data_override.empty() ? config.data.source : data_override;
  if (const auto file = table_file(source)) {
    if (task_set == TaskSet::unseen) {
      throw UsageError(
          fmt::format("{}: a table has its own tasks and no unseen ones; roap solve learns new tasks", *file));
    }
    return load_experiment(config, read_image_table(*file));
  }
  search::FormulaPool pool = formula_pool(config);
  int count = static_cast<int>(config.tasks.count);
  int first = 0;
  if (task_set == TaskSet::unseen) {
    first = count;
    count = std::min(count, static_cast<int>(pool.usable().size()) - first);
    if (count < 1) {
      throw UsageError(
          fmt::format("no tasks are left that the run has not seen: it trained on all {} formulas", first));
    }
  }
  Benchmark benchmark =
      make_benchmark(load_images(source), pool, count, static_cast<std::uint64_t>(config.tasks.seed), first);
  return {std::move(pool), std::move(benchmark)};
}

}  // namespace roap::io
