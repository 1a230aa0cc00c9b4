#include <sys/stat.h>

#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {
namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr int kCheckpoint = 4;
constexpr int kDevice = 5;

TEST(OutputFolder, IsNeverOverwritten) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 1).exit_code, 0);
  const std::string before = io::read_file(folder / "run/metrics.jsonl");
  const Result again = train_tiny(folder, "run", 1);
  EXPECT_EQ(again.exit_code, kUsage);
  expect_contains(again.err, "output folder run is in use; nothing is overwritten. Choose another, for example run-2");
  EXPECT_EQ(io::read_file(folder / "run/metrics.jsonl"), before);

  fs::create_directory(folder / "foreign");
  write_text(folder / "foreign/letter.txt", "mine");
  EXPECT_EQ(train_tiny(folder, "foreign", 1).exit_code, kUsage);
  fs::create_directory(folder / "empty");
  EXPECT_EQ(train_tiny(folder, "empty", 1).exit_code, 0) << "an empty folder is taken as it is";
}

TEST(OutputFolder, MustBeWritable) {
  const TempFolder folder;
  const Result proc = train_tiny(folder, "/proc/roap-run", 1);
  EXPECT_EQ(proc.exit_code, kDevice) << proc.err;
  expect_contains(proc.err, "cannot create folder /proc/roap-run");
  write_text(folder / "file", "");
  EXPECT_EQ(train_tiny(folder, "file/run", 1).exit_code, kDevice);
}

TEST(OutputFolder, NeedsPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TempFolder folder;
  fs::create_directory(folder / "closed");
  ::chmod((folder / "closed").c_str(), 0555);
  const Result result = train_tiny(folder, "closed/run", 1);
  EXPECT_EQ(result.exit_code, kDevice);
  expect_contains(result.err, "Permission denied. Choose a folder that you may write to.");
}

TEST(RunFolderArgument, ForeignAndMissingFoldersAreRefused) {
  const TempFolder folder;
  fs::create_directory(folder / "foreign");
  ASSERT_EQ(train_tiny(folder, "first", 1).exit_code, 0);
  for (const char* command : {"resume", "eval", "programs"}) {
    expect_failure(folder, {command, "foreign"}, kCheckpoint, {"foreign is not a run folder: it has no config.toml"});
    expect_failure(folder, {command, "firts"}, kCheckpoint, {"no run folder firts; did you mean \"first\"?"});
  }
}

TEST(RunFolderArgument, TwoProcessesCannotTrainInOne) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(100'000));
  const TempFolder other;
  Process first(folder, {"train", "--preset", "tiny.toml", "--out", "run"});
  ASSERT_TRUE(wait_until([&] { return metrics_lines(folder / "run").size() > 2; }));
  expect_failure(other, {"resume", (folder / "run").string()}, kUsage, {"process"});
  EXPECT_EQ(run(other, {"eval", (folder / "run").string()}).exit_code, 0) << "reading is allowed";
}

void flip_middle_byte(const fs::path& file) {
  std::string content = io::read_file(file);
  content[content.size() / 2] ^= 1;
  write_text(file, content);
}

TEST(DamagedCheckpoint, FallsBackLoudlyThenFails) {
  const TempFolder folder;
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    const std::string run_name = std::string("run-") + name;
    ASSERT_EQ(train_tiny(folder, run_name, 10).exit_code, 0);
    const fs::path checkpoints = folder / run_name / "checkpoints";
    flip_middle_byte(checkpoints / "step-10" / name);
    const Result older = run(folder, {"eval", run_name, "--json"});
    EXPECT_EQ(older.exit_code, 0) << older.err;
    expect_contains(older.err, "roap: warning: checkpoint of step 10 is damaged and is passed over: ");
    expect_contains(older.err, name);
    EXPECT_EQ(nlohmann::json::parse(older.out)["steps"], 5);
    flip_middle_byte(checkpoints / "step-5" / name);
    fs::resize_file(checkpoints / "step-0" / name, 3);
    expect_failure(folder, {"eval", run_name}, kCheckpoint, {"no intact checkpoint", "step-0", "step-5", "step-10"});
    expect_failure(folder, {"resume", run_name}, kCheckpoint, {"no intact checkpoint"});
  }
}

TEST(DamagedCheckpoint, WithAnotherConfigIsRefused) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 1).exit_code, 0);
  std::string config = io::read_file(folder / "run/config.toml");
  const std::string width = "\nwidth = 8\n";
  ASSERT_NE(config.find(width), std::string::npos);
  config.replace(config.find(width), width.size(), "\nwidth = 9\n");
  write_text(folder / "run/config.toml", config);
  expect_failure(folder, {"eval", "run"}, kCheckpoint, {"manifest.json: config_sha256: expected"});
  write_text(folder / "run/config.toml", "[train]\nstep = 3\n");
  expect_failure(folder, {"eval", "run"}, kCheckpoint,
                 {"config.toml:2: unknown key \"train.step\"; did you mean \"train.steps\"?"});
  fs::remove_all(folder / "run/checkpoints");
  expect_failure(folder, {"eval", "run"}, kCheckpoint, {"config.toml"});
}

TEST(FullDisk, EndsTheRunWithAMessageAndKeepsTheLastCheckpoint) {
  constexpr rlim_t kLimit = 16 << 10;  // above the small files of a run, below a checkpoint's
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Arguments train{"train", "--preset", "tiny.toml", "--out", "full"};
  const Result failed = Process(folder, train, kLimit).wait();
  EXPECT_EQ(failed.exit_code, kDevice) << "signal " << failed.signal << failed.err;
  expect_contains(failed.err, "roap: cannot write ");
  expect_contains(failed.err, "File too large");
  expect_failure(folder, {"resume", "full"}, kCheckpoint, {"no checkpoint found"});

  ASSERT_EQ(train_tiny(folder, "run", 10).exit_code, 0);
  const std::string model = io::read_file(folder / "run/checkpoints/step-10/model.safetensors");
  fs::remove_all(folder / "run/checkpoints/step-10");
  const Result resumed = Process(folder, {"resume", "run"}, kLimit).wait();
  EXPECT_EQ(resumed.exit_code, kDevice) << "signal " << resumed.signal;
  const Result finished = run(folder, {"resume", "run"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(io::read_file(folder / "run/checkpoints/step-10/model.safetensors"), model);
}

}  // namespace
}  // namespace roap::bin
