#include "bench/experiments.h"

#include "io/file_util.h"
#include "kernels/common/philox.h"

namespace roap::bench {

namespace {

LabelledSplit noise(std::size_t images, std::size_t bytes, std::uint64_t step) {
  LabelledSplit split;
  split.pixels.resize(images * bytes);
  const RandomKey key = random_key(0, RandomStream::test, step);
  for (std::size_t i = 0; i < split.pixels.size(); i += 4) {
    const Philox4 words = philox(key, i / 4);
    for (std::size_t k = 0; k < 4; ++k) split.pixels[i + k] = static_cast<std::uint8_t>(words.x[k]);
  }
  for (std::size_t i = 0; i < images; ++i) split.labels.push_back(static_cast<std::uint8_t>(i % search::kLevels));
  return split;
}

}  // namespace

io::Experiment load_or_imitate(const io::Config& config) {
  constexpr std::string_view kCifar = "cifar10:";
  const std::string& source = config.data.source;
  if (!source.starts_with(kCifar) || io::is_folder(source.substr(kCifar.size()))) return io::load_experiment(config);
  constexpr std::size_t kBytes = 32 * 32 * 3;
  BenchmarkImages images{
      32, 32, 3, {1 / 64.0f, 1 / 64.0f, 1 / 64.0f}, {-2, -2, -2}, noise(50000, kBytes, 0), noise(10000, kBytes, 1)};
  search::FormulaPool pool = search::FormulaPool::enumerate(static_cast<int>(config.tasks.symbols),
                                                            static_cast<int>(config.tasks.max_operators));
  Benchmark benchmark = make_benchmark(std::move(images), pool, static_cast<int>(config.tasks.count),
                                       static_cast<std::uint64_t>(config.tasks.seed));
  return {std::move(pool), std::move(benchmark)};
}

}  // namespace roap::bench
