#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "io/cifar10.h"
#include "io/digits.h"
#include "io/experiment.h"
#include "io/image_file.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCifarRecord = 3073;
constexpr std::size_t kCifarBytes = 10'000 * kCifarRecord;

/// A file of CIFAR-10's size, all zero, with some bytes set: cheap, because the rest is a hole.
void write_cifar(const fs::path& path, const std::vector<std::pair<std::size_t, int>>& bytes,
                 std::size_t size = kCifarBytes) {
  {
    std::ofstream file(path, std::ios::binary);
    for (const auto& [position, value] : bytes) {
      file.seekp(static_cast<std::streamoff>(position));
      file.put(static_cast<char>(value));
    }
  }
  fs::resize_file(path, size);
}

std::multiset<std::vector<std::uint8_t>> rows_of(const LabelledImages& images) {
  std::multiset<std::vector<std::uint8_t>> rows;
  for (std::size_t i = 0; i < images.count(); ++i) {
    const auto first = images.pixels.begin() + static_cast<std::ptrdiff_t>(i * images.image_size());
    rows.emplace(first, first + static_cast<std::ptrdiff_t>(images.image_size()));
  }
  return rows;
}

TEST(Digits, SplitIsFixedAndDisjoint) {
  const TrainTestImages digits = load_digits();
  EXPECT_EQ(digits.train.count(), 1400u);
  EXPECT_EQ(digits.test.count(), 397u);
  EXPECT_EQ(digits.train.pixels.size(), 1400u * 64);
  EXPECT_EQ(digits.test.pixels.size(), 397u * 64);
  const TrainTestImages again = load_digits();
  EXPECT_EQ(digits.train.pixels, again.train.pixels);
  EXPECT_EQ(digits.test.labels, again.test.labels);
  // No two of the 1797 images are equal, so disjoint rows mean a permutation.
  auto rows = rows_of(digits.train);
  rows.merge(rows_of(digits.test));
  EXPECT_EQ(std::set<std::vector<std::uint8_t>>(rows.begin(), rows.end()).size(), 1797u);
}

TEST(Digits, SplitIsMixedAndNeverChanges) {
  const TrainTestImages digits = load_digits();
  std::array<int, 10> test_counts{};
  for (const std::uint8_t label : digits.test.labels) ++test_counts.at(label);
  for (const int count : test_counts) EXPECT_GT(count, 20);
  const std::vector<std::uint8_t> first(digits.train.labels.begin(), digits.train.labels.begin() + 12);
  EXPECT_EQ(first, (std::vector<std::uint8_t>{9, 6, 1, 9, 6, 3, 9, 0, 8, 2, 1, 8}));
}

TEST(Digits, LevelsSpreadOverABytesRange) {
  const TrainTestImages digits = load_digits();
  const std::set<std::uint8_t> levels(digits.train.pixels.begin(), digits.train.pixels.end());
  EXPECT_EQ(levels.size(), 17u);
  EXPECT_EQ(*levels.begin(), 0);
  EXPECT_EQ(*levels.rbegin(), 255);
  EXPECT_TRUE(levels.contains(128));  // level 8 of 16
}

TEST(Cifar10, PlanesBecomeInterleavedPixels) {
  const TempFolder folder;
  const std::size_t record = 7;
  const std::size_t start = record * kCifarRecord;
  // Label 9; red of pixel 0, green of pixel 1, blue of the last pixel.
  write_cifar(folder / "b.bin", {{start, 9}, {start + 1, 200}, {start + 1 + 1024 + 1, 100}, {start + 3072, 50}});
  LabelledImages images{3, 32, 32, {}, {}};
  append_cifar10_batch(folder / "b.bin", images);
  EXPECT_EQ(images.count(), 10'000u);
  ASSERT_EQ(images.pixels.size(), 10'000u * images.image_size());
  EXPECT_EQ(images.labels[record], 9);
  EXPECT_EQ(images.labels[record + 1], 0);
  const std::uint8_t* pixels = images.pixels.data() + record * images.image_size();
  EXPECT_EQ(pixels[0], 200);
  EXPECT_EQ(pixels[1 * 3 + 1], 100);
  EXPECT_EQ(pixels[1023 * 3 + 2], 50);
}

TEST(Cifar10, FolderOrItsParentIsAccepted) {
  const TempFolder parent;
  const fs::path folder = parent / "cifar-10-batches-bin";
  fs::create_directory(folder);
  for (int number = 1; number <= 5; ++number) {
    write_cifar(folder / ("data_batch_" + std::to_string(number) + ".bin"), {{0, number}});
  }
  write_cifar(folder / "test_batch.bin", {{0, 9}});
  for (const fs::path& given : {folder, parent.path()}) {
    const TrainTestImages images = load_cifar10(given);
    EXPECT_EQ(images.train.count(), 50'000u);
    EXPECT_EQ(images.test.count(), 10'000u);
    for (std::size_t batch = 0; batch < 5; ++batch) EXPECT_EQ(images.train.labels[batch * 10'000], batch + 1);
    EXPECT_EQ(images.test.labels[0], 9);
  }
  fs::remove(folder / "data_batch_4.bin");
  expect_contains(message_of<DataError>([&] { load_cifar10(folder); }), "data_batch_4.bin is missing");
}

TEST(Cifar10, BadFilesAreNamed) {
  const TempFolder folder;
  LabelledImages images{3, 32, 32, {}, {}};
  write_cifar(folder / "short.bin", {}, kCifarBytes - 1);
  expect_contains(message_of<DataError>([&] { append_cifar10_batch(folder / "short.bin", images); }),
                  "short.bin: size: expected 30730000 bytes, found 30729999");
  write_cifar(folder / "long.bin", {}, kCifarBytes + 1);
  expect_contains(message_of<DataError>([&] { append_cifar10_batch(folder / "long.bin", images); }), "found 30730001");
  write_cifar(folder / "label.bin", {{42 * kCifarRecord, 10}});
  expect_contains(message_of<DataError>([&] { append_cifar10_batch(folder / "label.bin", images); }),
                  "label.bin: record 42, byte 129066: label 10 is above 9");
  message_of<DataError>([&] { append_cifar10_batch(folder / "none.bin", images); });
  expect_contains(message_of<DataError>([&] { load_cifar10(folder / "nowhere"); }), "nowhere does not exist");
}

TEST(ImageTable, IsReadOnceAndDecidesTheNumberOfTasks) {
  const TempFolder folder;
  std::string text = "x1,x2,task,y,split\n";
  for (int i = 0; i < 4; ++i) {
    const auto pixel = static_cast<std::uint8_t>(i);
    write_png(folder / fmt::format("{}.png", i), {8, 8, 1, std::vector<std::uint8_t>(64, pixel)});
    const char* split = i == 2 ? "test" : "train";
    text += fmt::format("{0}.png,3.png,a,{0},{1}\n{0}.png,3.png,b,{2},{1}\n", i, split, -i);
  }
  write_text(folder / "t.csv", text);
  Config config;
  config.data.source = "table:" + (folder / "t.csv").string();
  auto [opened, table] = open_data(config);
  EXPECT_EQ(opened.tasks.count, 2);
  EXPECT_EQ(opened.tasks.symbols, 2);
  fs::remove(folder / "t.csv");

  const Experiment experiment = load_experiment(opened, std::move(table));
  const PairSource& train = *experiment.benchmark.train;
  EXPECT_EQ(train.tasks(), 2);
  EXPECT_EQ(train.symbols(), 2);
  EXPECT_EQ(train.images().count, 4);
  EXPECT_EQ(train.images().pixels[64], 3) << "images are numbered as the table names them";

  config.data.source = "digits";
  EXPECT_FALSE(open_data(config).table.has_value());
  EXPECT_EQ(to_toml(open_data(config).config), to_toml(config));
}

}  // namespace
}  // namespace roap::io
