#include "io/image_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "io/image_file.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

constexpr int kTestEvery = 5;  // without a column split every fifth pair is a test pair

bool is_test(const CsvTable& csv, std::size_t row, std::size_t pair) {
  const int column = csv.find("split");
  if (column < 0) return pair % kTestEvery == kTestEvery - 1;
  const std::string& split = csv.rows[row][static_cast<std::size_t>(column)].text;
  if (split != "train" && split != "test") {
    throw DataError(csv.where(row, column) + fmt::format("expected train or test, found \"{}\"", split));
  }
  return split == "test";
}

using Tuple = std::vector<std::int32_t>;

Tuple images_of(const search::TaskRows& task, std::size_t row, int variables) {
  Tuple images;
  for (int j = 0; j < variables; ++j) {
    images.push_back(static_cast<std::int32_t>(task.symbols[static_cast<std::size_t>(j) * task.rows + row]));
  }
  return images;
}

/// What the first task's rows say: which images make a pair, in which order, and its split.
struct Pairs {
  std::map<Tuple, std::size_t> index;
  std::vector<Tuple> images;
  std::vector<bool> test;
};

[[noreturn]] void fail_row(const ImageTable& table, std::size_t t, std::size_t row, const std::string& problem) {
  const std::string task = table.tasks.named ? fmt::format("task {}: ", table.tasks.tasks[t].name) : "";
  throw DataError(fmt::format("{}:{}: {}{}", table.csv.label, table.csv.rows[row][0].line, task, problem));
}

Pairs collect_pairs(const ImageTable& table) {
  Pairs pairs;
  const search::TaskRows& first = table.tasks.tasks.front();
  for (std::size_t r = 0; r < first.rows; ++r) {
    const std::size_t row = table.tasks.rows.front()[r];
    Tuple images = images_of(first, r, table.tasks.variables);
    if (!pairs.index.try_emplace(images, pairs.images.size()).second) {
      fail_row(table, 0, row, "the same images as in an earlier row of the task");
    }
    pairs.test.push_back(is_test(table.csv, row, pairs.images.size()));
    pairs.images.push_back(std::move(images));
  }
  return pairs;
}

/// y of task t in the order of the pairs.
std::vector<double> task_values(const ImageTable& table, const Pairs& pairs, std::size_t t) {
  const search::TaskRows& task = table.tasks.tasks[t];
  const std::vector<std::size_t>& rows = table.tasks.rows[t];
  std::vector<double> y(pairs.images.size());
  std::vector<bool> seen(pairs.images.size(), false);
  for (std::size_t r = 0; r < task.rows; ++r) {
    const auto found = pairs.index.find(images_of(task, r, table.tasks.variables));
    if (found == pairs.index.end()) {
      fail_row(table, t, rows[r], "images that the first task does not have; all tasks need y for the same images");
    }
    const std::size_t pair = found->second;
    if (seen[pair]) fail_row(table, t, rows[r], "the same images as in an earlier row of the task");
    if (table.csv.find("split") >= 0 && is_test(table.csv, rows[r], pair) != pairs.test[pair]) {
      fail_row(table, t, rows[r], "another split than the first task has for these images");
    }
    seen[pair] = true;
    y[pair] = task.y[r];
  }
  const auto missing = std::ranges::find(seen, false);
  if (missing != seen.end()) {
    const std::size_t row = table.tasks.rows.front()[static_cast<std::size_t>(missing - seen.begin())];
    fail_row(table, t, row, "no row with the images of this line; all tasks need y for the same images");
  }
  return y;
}

void append_rows(TableData& data, const ImageTable& table) {
  const Pairs pairs = collect_pairs(table);
  for (std::size_t p = 0; p < pairs.images.size(); ++p) {
    TableRows& rows = pairs.test[p] ? data.test : data.train;
    rows.images.insert(rows.images.end(), pairs.images[p].begin(), pairs.images[p].end());
  }
  for (std::size_t t = 0; t < table.tasks.tasks.size(); ++t) {
    const std::vector<double> y = task_values(table, pairs, t);
    for (std::size_t p = 0; p < y.size(); ++p) {
      (pairs.test[p] ? data.test : data.train).y.push_back(static_cast<float>(y[p]));
    }
  }
}

/// Does the image, read as RGB, hold greys only?
bool is_grey(const Image& image) {
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2]) return false;
  }
  return true;
}

void append_images(TableData& data, const std::vector<std::string>& files) {
  constexpr int kColour = 3;
  ImageSet& set = data.images;
  bool grey = true;
  for (const std::string& file : files) {
    const Image image = read_image(file, kColour);
    if (set.count == 0) {
      set.width = image.width;
      set.height = image.height;
    }
    if (image.width != set.width || image.height != set.height) {
      throw DataError(fmt::format("{}: image is {} x {} pixels, but {} is {} x {}; all images need one size", file,
                                  image.width, image.height, files.front(), set.width, set.height));
    }
    grey = grey && is_grey(image);
    data.pixels.insert(data.pixels.end(), image.pixels.begin(), image.pixels.end());
    ++set.count;
  }
  set.channels = grey ? 1 : kColour;
  set.scale.fill(2.0f / 255.0f);  // to -1..1
  set.shift.fill(-1.0f);
  if (!grey) return;
  for (std::size_t i = 0; i < data.pixels.size() / kColour; ++i) data.pixels[i] = data.pixels[kColour * i];
  data.pixels.resize(data.pixels.size() / kColour);
}

}  // namespace

ImageTable read_image_table(const std::filesystem::path& path) {
  ImageTable table{read_csv(path)};
  const int variables = symbol_columns(table.csv, "x");
  std::map<std::string, double> numbers;
  std::vector<double> images;
  for (const std::string& file : read_image_paths(table.csv, variables)) {
    const auto [entry, is_new] = numbers.try_emplace(file, static_cast<double>(numbers.size()));
    if (is_new) table.files.push_back(file);
    images.push_back(entry->second);
  }
  table.tasks = make_search_table(table.csv, variables, images);
  return table;
}

TableData load_pairs(const ImageTable& table) {
  TableData data;
  data.label = table.csv.label;
  data.tasks = static_cast<int>(table.tasks.tasks.size());
  data.symbols = table.tasks.variables;
  append_rows(data, table);
  if (data.train.images.empty() || data.test.images.empty()) {
    throw DataError(fmt::format("{}: no {} pairs; {}", data.label, data.train.images.empty() ? "training" : "test",
                                table.csv.find("split") >= 0
                                    ? "column split needs rows of both"
                                    : "without a column split every fifth one is a test pair"));
  }
  append_images(data, table.files);
  for (std::size_t t = 0; t < table.tasks.tasks.size(); ++t) {
    if (table.tasks.named) data.task_names.push_back(table.tasks.tasks[t].name);
    if (table.tasks.gold[t]) data.formulas.push_back(*table.tasks.gold[t]);
  }
  return data;
}

}  // namespace roap::io
