#pragma once

#include <filesystem>

#include "models/data/table_benchmark.h"

namespace roap::io {

/// How many tasks a table of images has, and how many images a row.
struct ImageTableSize {
  int tasks = 0, symbols = 0;
};

/// Reads the table, but no image. DataError as read_image_table.
ImageTableSize image_table_size(const std::filesystem::path& path);

/// Reads a CSV table of measured pairs with its images, for training. Columns: x1..xV (paths of PNG or JPEG files of
/// one size; a relative path starts at the table's folder), y, and where they are there task (a name: several tasks),
/// split (train or test; without it every fifth pair is a test pair) and gold (the formula, for verdicts). Tasks share
/// images: each task has y for each V-tuple of images exactly once. Grey images give one channel, all others three;
/// pixels become -1..1. DataError names what is missing or wrong, with its line.
TableData read_image_table(const std::filesystem::path& path);

}  // namespace roap::io
