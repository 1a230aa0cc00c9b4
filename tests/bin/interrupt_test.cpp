#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {
namespace fs = std::filesystem;

constexpr int kSteps = 60;

/// Starts the tiny run, sends `signal` once it has logged `step` and returns how it ended. Stopping the process before
/// its metrics are read would be needed for an exact step; here any step before the last will do.
Result interrupt(const TempFolder& folder, const std::string& name, int signal, std::size_t step = 12) {
  write_text(folder / "tiny.toml", tiny_config(kSteps));
  Process process(folder, {"train", "--preset", "tiny.toml", "--out", name});
  EXPECT_TRUE(wait_until([&] { return metrics_lines(folder / name).size() >= step; }));
  process.send(signal);
  const auto sent = std::chrono::steady_clock::now();
  Result result = process.wait();
  EXPECT_LT(std::chrono::steady_clock::now() - sent, std::chrono::seconds(2));
  return result;
}

std::string final_model(const TempFolder& folder, const std::string& name) {
  return io::read_file(folder / (name + "/checkpoints/step-" + std::to_string(kSteps) + "/model.safetensors"));
}

/// The resumed run must have ended as the run that nobody interrupted.
void expect_same_end(const TempFolder& folder, const std::string& name) {
  ASSERT_EQ(train_tiny(folder, "whole", kSteps).exit_code, 0);
  const Result resumed = run(folder, {"resume", name, "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_contains(resumed.err, "going on at step ");
  EXPECT_EQ(final_model(folder, name), final_model(folder, "whole"));
  EXPECT_EQ(metrics_lines(folder / name), metrics_lines(folder / "whole"));
  EXPECT_EQ(io::read_file(folder / (name + "/programs.json")), io::read_file(folder / "whole/programs.json"));
  EXPECT_EQ(io::read_file(folder / (name + "/STATUS")), "finished step " + std::to_string(kSteps) + "\n");
}

class Interrupt : public testing::TestWithParam<int> {};

TEST_P(Interrupt, SavesAndResumesBitForBit) {
  const TempFolder folder;
  const Result result = interrupt(folder, "run", GetParam());
  EXPECT_EQ(result.exit_code, 128 + GetParam()) << result.err;
  expect_contains(result.err, "Go on with: roap resume run");
  expect_contains(io::read_file(folder / "run/STATUS"), "interrupted step ");
  expect_same_end(folder, "run");
}

INSTANTIATE_TEST_SUITE_P(Signals, Interrupt, testing::Values(SIGINT, SIGTERM),
                         [](const auto& test) { return std::string(test.param == SIGINT ? "SIGINT" : "SIGTERM"); });

TEST(Kill, ResumesBitForBitFromTheLastCheckpoint) {
  const TempFolder folder;
  const Result result = interrupt(folder, "run", SIGKILL);
  EXPECT_EQ(result.signal, SIGKILL);
  expect_contains(io::read_file(folder / "run/STATUS"), "running step ");
  expect_same_end(folder, "run");
}

TEST(Kill, ATornLogLineAndALeftOverCheckpointDoNotMatter) {
  const TempFolder folder;
  EXPECT_EQ(interrupt(folder, "run", SIGKILL).signal, SIGKILL);
  write_text(folder / "run/metrics.jsonl", io::read_file(folder / "run/metrics.jsonl") + "{\"step\": 1");
  fs::create_directory(folder / "run/checkpoints/.tmp-step-99");
  expect_same_end(folder, "run");
  EXPECT_FALSE(io::is_present(folder / "run/checkpoints/.tmp-step-99"));
}

TEST(Resume, AFinishedRunStaysAsItIs) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 5).exit_code, 0);
  const std::string model = io::read_file(folder / "run/checkpoints/step-5/model.safetensors");
  const auto lines = metrics_lines(folder / "run");
  const Result again = run(folder, {"resume", "run"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(io::read_file(folder / "run/checkpoints/step-5/model.safetensors"), model);
  EXPECT_EQ(metrics_lines(folder / "run"), lines);
}

}  // namespace
}  // namespace roap::bin
