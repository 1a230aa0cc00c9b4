#include "io/run_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/file_util.h"
#include "io/metrics_log.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

const RunName kName{"digits", "roap", 7};

/// Runs the test inside a folder of its own, because automatic names are relative.
class InFolder {
 public:
  InFolder() : before_(fs::current_path()) { fs::current_path(folder_.path()); }
  ~InFolder() { fs::current_path(before_); }

 private:
  TempFolder folder_;
  fs::path before_;
};

/// Exit status of `action` run in a child process: 0 when it returns, 1 on an Error.
template <typename Action>
int in_child(Action&& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      action();
    } catch (const Error&) {
      status = 1;
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST(RunFolder, AutomaticNamesNeverRepeat) {
  const InFolder here;
  const RunFolder first = RunFolder::create("", kName);
  const RunFolder second = RunFolder::create("", kName);
  EXPECT_EQ(first.path().parent_path(), "runs");
  expect_contains(first.path().string(), "-digits-roap-seed7");
  EXPECT_EQ(second.path().string(), first.path().string() + "-2");
  expect_contains(RunFolder::create("", {"my/own.toml", "free", 0}).path().string(), "-own-free-seed0");
}

TEST(RunFolder, SimultaneousCreationsShareNothing) {
  const InFolder here;
  constexpr int kProcesses = 8;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      int status = 0;
      try {
        const RunFolder folder = RunFolder::create("", kName);
        write_text(folder.path() / ("mine-" + std::to_string(::getpid())), "x");
      } catch (const std::exception&) {
        status = 1;
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  int folders = 0;
  for (const auto& run : fs::directory_iterator("runs")) {
    ++folders;
    int owners = 0;
    for (const auto& file : fs::directory_iterator(run)) {
      owners += file.path().filename().string().starts_with("mine-") ? 1 : 0;
    }
    EXPECT_EQ(owners, 1) << run.path();
  }
  EXPECT_EQ(folders, kProcesses);
}

TEST(RunFolder, AGivenFolderIsNeverOverwritten) {
  const TempFolder folder;
  fs::create_directory(folder / "empty");
  EXPECT_EQ(RunFolder::create(folder / "empty", kName).path(), folder / "empty");
  expect_contains(message_of<UsageError>([&] { RunFolder::create(folder / "empty", kName); }),
                  "is in use; nothing is overwritten. Choose another, for example ");
  message_of<DeviceError>([] { RunFolder::create("/proc/run", kName); });
}

TEST(RunFolder, OnlyOneProcessTrains) {
  const TempFolder folder;
  RunFolder first = RunFolder::create(folder / "run", kName);
  first.write_config(Config());
  expect_contains(message_of<UsageError>([&] { RunFolder::open(folder / "run", RunFolder::Access::train); }),
                  "is in use by process " + std::to_string(::getpid()));
  EXPECT_EQ(in_child([&] { RunFolder::open(folder / "run", RunFolder::Access::train); }), 1);
  EXPECT_EQ(in_child([&] { RunFolder::open(folder / "run", RunFolder::Access::read); }), 0);
  { const RunFolder moved = std::move(first); }
  EXPECT_FALSE(fs::exists(folder / "run/LOCK"));
  EXPECT_EQ(in_child([&] { RunFolder::open(folder / "run", RunFolder::Access::train); }), 0);
}

TEST(RunFolder, LocksOfDeadProcessesAreTakenOver) {
  const TempFolder folder;
  // The child dies without running destructors, as after kill -9: its lock file stays.
  const int status = in_child([&] {
    const RunFolder run = RunFolder::create(folder / "run", kName);
    run.write_config(Config());
    ::_exit(42);
  });
  EXPECT_EQ(status, 42);
  EXPECT_TRUE(fs::exists(folder / "run/LOCK"));
  const RunFolder run = RunFolder::open(folder / "run", RunFolder::Access::train);
  EXPECT_EQ(read_file(folder / "run/LOCK"), std::to_string(::getpid()) + "\n");
}

TEST(RunFolder, MissingRunsAreNamedWithASuggestion) {
  const TempFolder folder;
  RunFolder::create(folder / "digits-run", kName).write_config(Config());
  const auto open = [&](const std::string& name) {
    return message_of<CheckpointError>([&] { RunFolder::open(folder / name, RunFolder::Access::read); });
  };
  expect_contains(open("digit-run"), "did you mean \"digits-run\"?");
  fs::create_directory(folder / "pictures");
  expect_contains(open("pictures"), "is not a run folder: it has no config.toml");
}

TEST(RunFolder, FilesAreWrittenAndReadBack) {
  const TempFolder folder;
  const RunFolder run = RunFolder::create(folder / "run", kName);
  Config config;
  config.train.lr = 0.125;
  run.write_config(config);
  EXPECT_EQ(run.read_config(), config);
  run.write_command(std::vector<std::string>{"roap", "train", "--out", "it's here", ""});
  EXPECT_EQ(read_file(run.path() / "command.txt"), "roap train --out 'it'\\''s here' ''\n");
  run.write_environment(describe_environment("1.2.3", 4));
  const auto environment = nlohmann::json::parse(read_file(run.path() / "environment.json"));
  EXPECT_EQ(environment["version"], "1.2.3");
  EXPECT_EQ(environment["threads"], 4);
  EXPECT_FALSE(environment["cpu"].get<std::string>().empty());
  EXPECT_GT(environment["memory_bytes"].get<std::uint64_t>(), 0u);
  run.write_programs({{"programs", nlohmann::json::array()}});
  EXPECT_TRUE(nlohmann::json::parse(read_file(run.path() / "programs.json")).contains("programs"));
  write_text(run.path() / "config.toml", "[train]\nlr = 0.1\nlrr = 0.2\n");
  expect_contains(message_of<CheckpointError>([&] { static_cast<void>(run.read_config()); }), "config.toml:3: ");
}

TEST(RunFolder, StatusIsWrittenAndReadBack) {
  const TempFolder folder;
  const RunFolder run = RunFolder::create(folder / "run", kName);
  for (const RunState state : {RunState::running, RunState::finished, RunState::interrupted, RunState::diverged}) {
    run.write_status({state, 1234});
    EXPECT_EQ(run.read_status().state, state);
    EXPECT_EQ(run.read_status().step, 1234);
  }
  EXPECT_EQ(read_file(run.path() / "STATUS"), "diverged step 1234\n");
  for (const std::string damaged :
       {"", "running", "running step x\n", "running step 1", "running step 1x\n", "dancing step 1\n"}) {
    write_text(run.path() / "STATUS", damaged);
    expect_contains(message_of<CheckpointError>([&] { static_cast<void>(run.read_status()); }), "STATUS: expected");
  }
}

TEST(MetricsLog, LinesAreAppended) {
  const TempFolder folder;
  {
    MetricsLog log(folder / "metrics.jsonl");
    log.append({{"step", 1}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
  }
  MetricsLog log(folder / "metrics.jsonl");
  log.append({{"step", 2}, {"loss", 0.5}});
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":0.5}\n");
  MetricsLog full("/dev/full");
  expect_contains(message_of<DeviceError>([&] { full.append({{"step", 1}}); }), "No space left");
}

TEST(MetricsLog, ResumeCutsLaterAndTornLines) {
  const TempFolder folder;
  const fs::path path = folder / "metrics.jsonl";
  const auto cut = [&](const std::string& text, std::int64_t step) {
    write_text(path, text);
    truncate_metrics(path, step);
    return read_file(path);
  };
  const std::string two = "{\"step\":1}\n{\"step\":2}\n";
  EXPECT_EQ(cut(two + "{\"step\":3}\n", 2), two);
  EXPECT_EQ(cut(two, 5), two);
  EXPECT_EQ(cut(two, 0), "");
  EXPECT_EQ(cut(two + "{\"step\":3", 9), two);
  EXPECT_EQ(cut(two + "{\"step\":3}", 9), two);
  EXPECT_EQ(cut(two + "garbage\n{\"step\":3}\n", 9), two);
  EXPECT_EQ(cut("{\"note\":1}\n" + two, 2), "{\"note\":1}\n" + two);
  truncate_metrics(folder / "none", 3);
  EXPECT_FALSE(fs::exists(folder / "none"));
}

}  // namespace
}  // namespace roap::io
