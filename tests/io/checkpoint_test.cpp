#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "io/file_util.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr int kKeepAll = 0;

fs::path save(const fs::path& run, std::int64_t step, int keep = kKeepAll) {
  const std::vector<float> weights(50, static_cast<float>(step));
  const std::vector<double> moments(20, static_cast<double>(step));
  SafetensorsWriter model;
  SafetensorsWriter state;
  model.add<float>("w", {5, 10}, weights);
  state.add<double>("m", {20}, moments);
  return write_checkpoint(run, {step, "abc", {{"skipped", 7}}}, model, state, keep);
}

void flip_bit(const fs::path& file, std::size_t byte) {
  std::string content = read_file(file);
  content.at(byte) = static_cast<char>(content.at(byte) ^ 1);
  write_text(file, content);
}

struct Loaded {
  std::int64_t step;
  std::vector<std::string> warnings;
};

Loaded load(const fs::path& run) {
  Loaded loaded{};
  const Checkpoint checkpoint =
      load_newest_intact(run, [&](const std::string& message) { loaded.warnings.push_back(message); });
  loaded.step = checkpoint.info.step;
  EXPECT_EQ(checkpoint.model.values<float>("w").at(0), static_cast<float>(loaded.step));
  EXPECT_EQ(checkpoint.state.values<double>("m").at(0), static_cast<double>(loaded.step));
  return loaded;
}

TEST(Checkpoint, NewestIsRead) {
  const TempFolder run;
  save(run.path(), 900);
  save(run.path(), 1000);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{900, 1000}));
  EXPECT_EQ(load(run.path()).step, 1000);
  const Checkpoint older = load_checkpoint(run.path(), 900);
  EXPECT_EQ(older.info.extra["skipped"], 7);
  EXPECT_EQ(older.info.config_sha256, "abc");
}

TEST(Checkpoint, OldOnesArePrunedAndTheNewestNever) {
  const TempFolder run;
  for (const std::int64_t step : {100, 200, 300}) save(run.path(), step, 2);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{200, 300}));
  save(run.path(), 400, 1);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{400}));
  // A run that went back to an earlier step: what it left behind must not shadow what it writes now.
  save(run.path(), 350, 1);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{350}));
  EXPECT_EQ(load(run.path()).step, 350);
}

TEST(Checkpoint, AnyFlippedBitFallsBackLoudly) {
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    const TempFolder run;
    save(run.path(), 1);
    const fs::path file = save(run.path(), 2) / name;
    const std::string content = read_file(file);
    const std::size_t stride = std::max<std::size_t>(1, content.size() / 100);
    for (std::size_t byte = 0; byte < content.size(); byte += stride) {
      flip_bit(file, byte);
      const Loaded loaded = load(run.path());
      EXPECT_EQ(loaded.step, 1) << name << " byte " << byte;
      ASSERT_EQ(loaded.warnings.size(), 1u);
      expect_contains(loaded.warnings[0], "checkpoint of step 2 is damaged and is passed over: ");
      write_text(file, content);
    }
    EXPECT_EQ(load(run.path()).step, 2);
  }
}

TEST(Checkpoint, MissingAndTruncatedFilesFallBack) {
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    const TempFolder run;
    save(run.path(), 1);
    const fs::path file = save(run.path(), 2) / name;
    fs::resize_file(file, fs::file_size(file) - 5);
    Loaded loaded = load(run.path());
    EXPECT_EQ(loaded.step, 1);
    expect_contains(loaded.warnings.at(0), name);
    fs::remove(file);
    loaded = load(run.path());
    EXPECT_EQ(loaded.step, 1);
    expect_contains(loaded.warnings.at(0), "No such file or directory");
  }
}

TEST(Checkpoint, MessagesNameFieldExpectedAndFound) {
  const TempFolder run;
  const fs::path folder = save(run.path(), 2);
  const std::string manifest = read_file(folder / "manifest.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = manifest;
    changed.replace(changed.find(from), from.size(), to);
    write_text(folder / "manifest.json", changed);
    return message_of<CheckpointError>([&] { load_checkpoint(run.path(), 2); });
  };
  expect_contains(with("\"format\": 1", "\"format\": 7"), "manifest.json: format: expected 1, found 7");
  expect_contains(with("\"format\"", "\"forma\""), "manifest.json: format: missing");
  expect_contains(with("\"format\": 1", "\"format\": 1.5"), "format: expected a whole number, found 1.5");
  expect_contains(with("\"step\": 2", "\"step\": 3"), "manifest.json: step: expected 2, found 3");
  expect_contains(with("\"step\": 2", "\"step\": 2,,"), "manifest.json: byte ");
  expect_contains(with("\"bytes\": ", "\"bytes\": 1"), "model.safetensors: size: expected 1");
  expect_contains(with("\"skipped\": 7", "\"skipped\": 8"), "manifest.json: manifest_sha256: expected ");
  expect_contains(with("\"sha256\": \"", "\"sha256\": \"x"), "model.safetensors: SHA-256 differs: expected x");
  write_text(folder / "manifest.json", "[]");
  expect_contains(message_of<CheckpointError>([&] { load_checkpoint(run.path(), 2); }), "format: missing");
  write_text(folder / "manifest.json", manifest);
  expect_contains(message_of<CheckpointError>([&] { load_checkpoint(run.path(), 2, "def"); }),
                  "manifest.json: config_sha256: expected def, found abc");
  EXPECT_EQ(load_checkpoint(run.path(), 2, "abc").info.step, 2);
}

TEST(Checkpoint, AllDamagedTellsEveryReason) {
  const TempFolder run;
  flip_bit(save(run.path(), 1) / "model.safetensors", 100);
  flip_bit(save(run.path(), 2) / "state.safetensors", 100);
  const std::string message = message_of<CheckpointError>([&] { load(run.path()); });
  expect_contains(message, "step-1: model.safetensors: SHA-256 differs");
  expect_contains(message, "step-2: state.safetensors: SHA-256 differs");
}

TEST(Checkpoint, NoneIsToldSo) {
  const TempFolder run;
  expect_contains(message_of<CheckpointError>([&] { load(run.path()); }), "no checkpoint found");
}

TEST(Checkpoint, LeftOversOfACrashAreIgnoredThenRemoved) {
  const TempFolder run;
  save(run.path(), 1);
  const fs::path left = run / "checkpoints/.tmp-step-2";
  fs::create_directory(left);
  write_text(left / "model.safetensors", "half");
  fs::create_directory(run / "checkpoints/step-02");  // not a name that we write
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(load(run.path()).step, 1);
  save(run.path(), 3);
  EXPECT_FALSE(fs::exists(left));
}

TEST(Checkpoint, TheSameStepIsReplaced) {
  const TempFolder run;
  flip_bit(save(run.path(), 5) / "model.safetensors", 100);
  save(run.path(), 5);
  EXPECT_EQ(load(run.path()).step, 5);
  const auto folder = fs::directory_iterator(run / "checkpoints");
  EXPECT_EQ(std::distance(begin(folder), end(folder)), 1);
}

TEST(Checkpoint, AFailedWriteLeavesTheOldOnes) {
  const TempFolder run;
  save(run.path(), 1);
  SafetensorsWriter model;
  const CheckpointInfo impossible{2, "abc", {{"text", "\xff"}}};  // JSON refuses broken UTF-8 half way
  EXPECT_ANY_THROW(write_checkpoint(run.path(), impossible, model, model, kKeepAll));
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector<std::int64_t>{1}));
  EXPECT_FALSE(fs::exists(run / "checkpoints/.tmp-step-2"));
  message_of<DeviceError>([&] { write_checkpoint("/proc", {1, "", {}}, model, model, kKeepAll); });
}

}  // namespace
}  // namespace roap::io
