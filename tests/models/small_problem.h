#pragma once

#include <memory>
#include <vector>

#include "models/config.h"
#include "models/data/benchmark.h"
#include "models/search/formula_pool.h"

namespace roap {

/// A benchmark on ten clear 8x8 patterns (bars of growing height with a little noise): learnt in a few steps.
inline Benchmark small_benchmark(const search::FormulaPool& pool, int tasks, int first = 0) {
  BenchmarkImages images;
  images.height = images.width = 8;
  images.channels = 1;
  images.scale.fill(2.0f / 255.0f);
  images.shift.fill(-1.0f);
  for (LabelledSplit* split : {&images.train, &images.test}) {
    for (int i = 0; i < 60; ++i) {
      const int label = i % 10;
      for (int pixel = 0; pixel < 64; ++pixel) {
        const Philox4 noise =
            philox({7, 0, 0, split == &images.train ? 0u : 1u}, static_cast<std::uint64_t>(i * 64 + pixel));
        split->pixels.push_back(static_cast<std::uint8_t>((pixel < 6 * (label + 1) ? 200 : 0) + noise.x[0] % 50));
      }
      split->labels.push_back(static_cast<std::uint8_t>(label));
    }
  }
  return make_benchmark(std::move(images), pool, tasks, 3, first);
}

/// Small and quick; `method` as in train.method.
inline Config small_config(int tasks, const char* method = "roap") {
  Config config;
  config.tasks.count = tasks;
  config.model.grounder_width = 4;
  config.model.width = 16;
  config.model.lines = 4;
  config.model.depth = 2;
  config.train.method = method;
  config.train.steps = 300;
  config.train.pairs_per_step = 24;
  config.train.lr = 3e-3;
  config.train.loss = "profiled";
  return config;
}

}  // namespace roap
