#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/csv.h"
#include "io/search_table.h"
#include "models/data/table_benchmark.h"

namespace roap::io {

/// A table of measured pairs with every image path replaced by a number; no image is read.
struct ImageTable {
  CsvTable csv;
  std::vector<std::string> files{};  ///< by number
  SearchTable tasks{};               ///< its symbols are the numbers
};

/// Reads a CSV table of measured pairs, for training. Columns: x1..xV (paths of PNG or JPEG files of one size; a
/// relative path starts at the table's folder), y, and where they are there task (a name: several tasks), split (train
/// or test; without it every fifth pair is a test pair) and gold (the formula, for verdicts). DataError names what is
/// missing or wrong, with its line.
ImageTable read_image_table(const std::filesystem::path& path);

/// The pairs of a table with their images. Tasks share images: each task has y for each V-tuple of images exactly once.
/// Grey images give one channel, all others three; pixels become -1..1. DataError as read_image_table.
TableData load_pairs(const ImageTable& table);

}  // namespace roap::io
