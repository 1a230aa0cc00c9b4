#pragma once

#include <cstdint>
#include <vector>

#include "models/data/benchmark.h"

namespace roap {

/// Pairs as they were measured: images and the y of every task for them.
struct TableRows {
  std::vector<std::int32_t> images;  ///< [rows, V], indices of images
  std::vector<float> y;              ///< [T, rows]
};

/// Measured pairs of both splits, which share their images.
struct TableData {
  std::string label;  ///< names the table in messages
  int tasks = 0, symbols = 0;
  ImageSet images;                   ///< its pixels are `pixels`
  std::vector<std::uint8_t> pixels;  ///< [image, height, width, channels]
  TableRows train, test;
  std::vector<std::string> task_names;           ///< [T], or none: tasks are numbered
  std::vector<programs::Expression> formulas{};  ///< [T] where they are known, for verdicts; else none
};

/// Sources that draw rows uniformly, with replacement. What the images stand for is unknown, so metrics that need it
/// are not measured. Both splits have rows. DataError when a task's y is the same in all training rows.
Benchmark make_table_benchmark(TableData data);

}  // namespace roap
