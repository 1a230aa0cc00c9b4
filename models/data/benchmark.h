#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/data/gold.h"
#include "models/data/pair_source.h"
#include "models/search/formula_pool.h"

namespace roap {

/// Labelled images of one split; the bytes move into the benchmark.
struct LabelledSplit {
  std::vector<std::uint8_t> pixels;  ///< [image, height, width, channels]
  std::vector<std::uint8_t> labels;  ///< 0..9; label l stands for symbol l + 1
};

struct BenchmarkImages {
  int height = 0, width = 0, channels = 0;
  std::array<float, 3> scale{1, 1, 1};
  std::array<float, 3> shift{0, 0, 0};
  LabelledSplit train, test;
};

/// What a run learns and is judged by, as the paper's benchmark: formulas drawn from the pool as tasks, images whose
/// labels are the symbols. Training gets `train` and nothing else; metrics also get `test` and `gold`.
struct Benchmark {
  std::unique_ptr<const PairSource> train;
  std::unique_ptr<const PairSource> test;
  std::unique_ptr<const Gold> gold;
  std::vector<std::string> task_names{};  ///< [T], or none: tasks are numbered
};

/// Images of some classes: what draws of pairs choose from.
struct ClassImages {
  std::vector<std::int32_t> begin{0};  ///< [classes + 1], of each class in `images`
  std::vector<std::int32_t> images;    ///< those of the first class, then of the second, ...
};
/// Of the `classes` classes from `first` on.
ClassImages images_by_class(std::span<const std::uint8_t> labels, int first, int classes);

/// Standard deviation of a task's y over the grid of symbols.
float deviation(std::span<const float> table);

/// Tasks are `count` usable formulas of `pool`, drawn with `seed` after `first` others: all formulas from `first` on
/// are new to who knows those before. Throws DataError when a class has no image in a split.
Benchmark make_benchmark(BenchmarkImages images, const search::FormulaPool& pool, int count, std::uint64_t seed,
                         int first = 0);

}  // namespace roap
