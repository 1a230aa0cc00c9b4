#include "bin/roap_measure.h"

#include <algorithm>

#include "bin/roap_commands.h"
#include "models/evaluation.h"

namespace roap::bin {

namespace {

constexpr int kImages = 500;       // of a split in the scatter
constexpr int kGalleryItems = 12;  // each of another task, spread over all

std::vector<io::SymbolPoint> symbol_points(LoadedRun& run, const PairSource& source, Split split) {
  if (!run.experiment.benchmark.gold->has_labels()) return {};
  const ImageSet& images = source.images();
  const int count = std::min(images.count, kImages);
  std::vector<std::int32_t> index;
  for (int i = 0; i < count; ++i) index.push_back(static_cast<std::int32_t>(std::int64_t{i} * images.count / count));
  const std::vector<float> symbols = run.model->ground(images.pixels, images.count, index);
  std::vector<io::SymbolPoint> points;
  for (std::size_t i = 0; i < index.size(); ++i) {
    points.push_back({run.experiment.benchmark.gold->symbol_of(split, index[i]), symbols[i]});
  }
  return points;
}

io::Image image_of(const ImageSet& images, std::int32_t index) {
  const auto size = static_cast<std::size_t>(images.width * images.height * images.channels);
  const auto pixels = images.pixels.subspan(static_cast<std::size_t>(index) * size, size);
  return {images.width, images.height, images.channels, {pixels.begin(), pixels.end()}};
}

std::vector<io::GalleryItem> gallery(LoadedRun& run, const Evaluation& evaluation) {
  const PairSource& source = *run.experiment.benchmark.test;
  const Gold& gold = *run.experiment.benchmark.gold;
  const auto variables = static_cast<std::size_t>(source.symbols());
  const std::size_t tasks = evaluation.tasks.size();
  const std::size_t count = std::min<std::size_t>(kGalleryItems, tasks);
  std::vector<std::int32_t> index(count * variables);
  std::vector<float> y(tasks * count);
  source.draw(random_key(1, RandomStream::evaluation_pairs, 0), static_cast<int>(count), index, y);
  const std::vector<float> symbols = run.model->ground(source.images().pixels, source.images().count, index);
  // Methods without programs predict by an MLP: y of all tasks for all pairs, [T, count].
  const std::vector<float> by_mlp = method_parts(run.config).head ? run.model->predict(symbols) : std::vector<float>{};
  std::vector<io::GalleryItem> items;
  for (std::size_t i = 0; i < count; ++i) {
    io::GalleryItem item;
    item.task = i * tasks / count;
    std::vector<double> values;
    for (std::size_t j = i * variables; j < (i + 1) * variables; ++j) {
      item.parts.push_back({image_of(source.images(), index[j]), {}, symbols[j]});
      if (gold.has_labels()) item.parts.back().level = gold.symbol_of(Split::test, index[j]);
      values.push_back(symbols[j]);
    }
    const TaskResult& task = evaluation.tasks[item.task];
    item.formula = task.formula ? task.formula->text : "an MLP, no formula";
    item.y = y[item.task * count + i];
    item.prediction = task.program ? task.program->evaluate(values) : by_mlp.at(item.task * count + i);
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

io::RunMeasurements measure_run(const std::string& path, const std::string& data_override,
                                const std::string& device_override, bool need_programs) {
  io::RunMeasurements measured;
  try {
    LoadedRun run = load_run(path, data_override, device_override);
    EvaluationOptions options;
    options.max_images = kImages;
    options.verdicts = need_programs;
    const Evaluation evaluation = evaluate(*run.model, run.experiment.benchmark, run.experiment.pool, options);
    measured.step = static_cast<std::int64_t>(run.state.step);
    measured.train = symbol_points(run, *run.experiment.benchmark.train, Split::train);
    measured.test = symbol_points(run, *run.experiment.benchmark.test, Split::test);
    measured.levels_known = run.experiment.benchmark.gold->has_labels();
    measured.gallery = gallery(run, evaluation);
    if (need_programs) measured.programs = programs_json(evaluation);
  } catch (const Error& error) {
    measured = {};
    measured.problem = error.what();
  }
  return measured;
}

}  // namespace roap::bin
