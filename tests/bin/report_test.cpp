#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {
namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr int kCheckpoint = 4;

TEST(Report, OfOneRunIsASelfContainedPage) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 10).exit_code, 0);
  const Result result = run(folder, {"report", "run"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "run/report.html\n");
  EXPECT_EQ(result.err, "");
  const std::string page = io::read_file(folder / "run/report.html");
  for (const char* part : {"<title>run</title>", "finished at step 10", "Training loss", "Symbols against levels",
                           "proved equal", "data:image/png;base64,", "roap train --preset tiny.toml", "not measured"}) {
    expect_contains(page, part);
  }
  for (const char* part : {"http://", "https://", "Partial report"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  expect_good_page(folder / "run/report.html");
}

TEST(Report, LaysSeveralRunsOverEachOther) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "first", 10).exit_code, 0);
  ASSERT_EQ(train_tiny(folder, "second", 20).exit_code, 0);
  expect_failure(folder, {"report", "first", "second"}, kUsage, {"--out FILE.html"});
  const Result result = run(folder, {"report", "first", "second/", "--out", "both.html", "--title", "Two <runs>"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string page = io::read_file(folder / "both.html");
  expect_contains(page, "Two &lt;runs&gt;");
  expect_contains(page, "first: Symbols");
  expect_contains(page, "second: Symbols");
  expect_good_page(folder / "both.html");
}

TEST(Report, OfARunBeingWrittenSaysSo) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(1'000'000));
  Process training(folder, {"train", "--preset", "tiny.toml", "--out", "run"});
  ASSERT_TRUE(wait_until([&] { return metrics_lines(folder / "run").size() > 30; }));
  const TempFolder other;
  const Result result = run(other, {"report", (folder / "run").string(), "--out", "page.html"});
  training.send(SIGKILL);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.err, "still being written");
  expect_contains(io::read_file(other / "page.html"), "those of its newest checkpoint, at step ");
}

TEST(Report, OfADamagedRunIsPartialAndSaysWhy) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 5).exit_code, 0);
  fs::remove_all(folder / "run/checkpoints");
  fs::remove(folder / "run/programs.json");
  write_text(folder / "run/metrics.jsonl", io::read_file(folder / "run/metrics.jsonl") + "rubbish\n");
  const Result result = run(folder, {"report", "run"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.err, "1 lines are damaged");
  expect_contains(result.err, "no checkpoint found");
  const std::string page = io::read_file(folder / "run/report.html");
  expect_contains(page, "Partial report, without symbols and gallery.");
  expect_contains(page, "neither programs.json nor a checkpoint could be read");
  expect_good_page(folder / "run/report.html");
}

TEST(Report, RefusesWhatIsNoRunAndLeavesThePageAlone) {
  const TempFolder folder;
  fs::create_directory(folder / "foreign");
  expect_failure(folder, {"report", "foreign"}, kCheckpoint, {"foreign is not a run folder"});
  expect_failure(folder, {"report", "absent"}, kCheckpoint, {"no run folder absent"});
  ASSERT_EQ(train_tiny(folder, "run", 1).exit_code, 0);
  ASSERT_EQ(run(folder, {"report", "run"}).exit_code, 0);
  const std::string before = io::read_file(folder / "run/report.html");
  write_text(folder / "run/config.toml", "[train]\nnewer = 3\n");
  expect_failure(folder, {"report", "run"}, kCheckpoint, {"config.toml:2: unknown key \"train.newer\""});
  EXPECT_EQ(io::read_file(folder / "run/report.html"), before);
  for (const auto& entry : fs::directory_iterator(folder / "run")) {
    EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace roap::bin
