#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {
namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr int kCheckpoint = 4;

/// The smallest study that has a branch: two runs and their two branches.
Arguments tiny_study(const std::string& table, const std::string& out, int steps) {
  Arguments words{table, "--threads", "1", "--out", out};
  for (const std::string& setting :
       {std::string("tasks.count=8"), std::string("tasks.max_operators=1"), std::string("model.grounder_width=2"),
        std::string("model.width=8"), std::string("model.lines=4"), std::string("train.pairs_per_step=8"),
        "train.steps=" + std::to_string(steps), std::string("log.every_steps=1"),
        std::string("log.eval_every_steps=20")}) {
    words.insert(words.end(), {"--set", setting});
  }
  return words;
}

Result repro(const TempFolder& folder, const Arguments& arguments) {
  return Process(folder, arguments, 0, ROAP_REPRO_BINARY).wait();
}

void expect_repro_failure(const TempFolder& folder, const Arguments& arguments, int exit_code,
                          const std::vector<std::string>& parts) {
  const Result result = repro(folder, arguments);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  for (const std::string& part : parts) expect_contains(result.err, part);
}

nlohmann::json results_of(const TempFolder& folder, const std::string& study) {
  return nlohmann::json::parse(io::read_file(folder / (study + "/results.json")));
}

/// What training decided, without what a clock says.
std::vector<nlohmann::json> run_metrics(const nlohmann::json& results) {
  std::vector<nlohmann::json> metrics;
  for (nlohmann::json run : results["studies"][0]["runs"]) {
    for (const char* key : {"seconds", "cpu_seconds", "run"}) run["metrics"].erase(key);
    metrics.push_back(run["metrics"]);
  }
  return metrics;
}

TEST(Repro, AStudyEndsWithAReportInThreeForms) {
  const TempFolder folder;
  const Result result = repro(folder, tiny_study("figure6", "study", 20));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.out, "digits-roap-seed0                        20 steps");
  expect_contains(result.out, "digits-no-prior-seed1                    10 steps");
  expect_contains(result.out, "study/report.html\nstudy/report.md\nstudy/results.json\n");
  const std::string page = io::read_file(folder / "study/report.html");
  for (const char* part :
       {"4 of 4 planned runs have finished", "Figure 6", "Every ROAP run is branched", "roap-repro figure6"})
    expect_contains(page, part);
  expect_contains(io::read_file(folder / "study/report.md"), "### Figure 6");
  expect_good_page(folder / "study/report.html");

  // Before the prior begins, a branch is its parent: the parent's checkpoint is where it starts.
  const auto model = [&](const std::string& run) {
    return io::read_file(folder / ("study/runs/" + run + "/checkpoints/step-10/model.safetensors"));
  };
  EXPECT_EQ(model("digits-no-prior-seed0"), model("digits-roap-seed0"));
  const auto lines = metrics_lines(folder / "study/runs/digits-no-prior-seed0");
  EXPECT_EQ(lines.front()["step"], 11);
  EXPECT_EQ(metrics_lines(folder / "study/runs/digits-roap-seed0")[10]["error"], lines.front()["error"]);
  EXPECT_NE(metrics_lines(folder / "study/runs/digits-roap-seed0")[10]["loss"], lines.front()["loss"])
      << "the prior counts";
}

TEST(Repro, AnInterruptedStudyGoesOnAtTheSameRunAndStep) {
  const TempFolder folder;
  ASSERT_EQ(repro(folder, tiny_study("figure6", "whole", 40)).exit_code, 0);
  Process process(folder, tiny_study("figure6", "study", 40), 0, ROAP_REPRO_BINARY);
  ASSERT_TRUE(wait_until([&] { return metrics_lines(folder / "study/runs/digits-roap-seed1").size() >= 5; }));
  process.send(SIGINT);
  const Result interrupted = process.wait();
  EXPECT_EQ(interrupted.exit_code, 130) << interrupted.err;
  expect_contains(interrupted.err, "go on with: roap-repro figure6 --resume --out study");
  expect_contains(io::read_file(folder / "study/report.html"), "Partial report. 1 of 4 planned runs have finished");
  expect_contains(io::read_file(folder / "study/runs/digits-roap-seed1/STATUS"), "interrupted step ");
  const std::string first = io::read_file(folder / "study/runs/digits-roap-seed0/metrics.jsonl");

  expect_repro_failure(folder, {"table1", "--resume", "--out", "study"}, kUsage,
                       {"study was begun with table figure6, not table1"});
  const Result resumed = repro(folder, {"figure6", "--resume", "--out", "study"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_contains(resumed.err, "going on at step ");
  EXPECT_EQ(io::read_file(folder / "study/runs/digits-roap-seed0/metrics.jsonl"), first)
      << "a finished run stays as it is";
  EXPECT_EQ(run_metrics(results_of(folder, "study")), run_metrics(results_of(folder, "whole")));
  for (const char* run : {"digits-roap-seed1", "digits-no-prior-seed0"}) {
    EXPECT_EQ(metrics_lines(folder / (std::string("study/runs/") + run)),
              metrics_lines(folder / (std::string("whole/runs/") + run)));
  }
}

TEST(Repro, ADivergedRunIsReportedAndTheOthersGoOn) {
  const TempFolder folder;
  Arguments arguments = tiny_study("figure6", "study", 40);
  for (const char* setting : {"train.lr=10", "train.on_nan=stop", "train.sharpness=1000", "model.lines=60",
                              "train.loss=gaussian", "train.clip=0", "train.warmup_steps=0"}) {
    arguments.insert(arguments.end(), {"--set", setting});
  }
  const Result result = repro(folder, arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.err, "digits-roap-seed0 diverged");
  expect_contains(result.err, "digits-roap-seed1 diverged");
  expect_contains(io::read_file(folder / "study/report.md"), "diverged at step ");
  const std::string status = io::read_file(folder / "study/runs/digits-roap-seed0/STATUS");
  EXPECT_EQ(repro(folder, {"figure6", "--resume", "--out", "study"}).exit_code, 0);
  EXPECT_EQ(io::read_file(folder / "study/runs/digits-roap-seed0/STATUS"), status) << "a diverged run stays as it is";
}

TEST(Repro, ThePlanAloneTrainsNothing) {
  const TempFolder folder;
  Arguments arguments = tiny_study("table2", "study", 20);
  arguments.push_back("--plan");
  const Result result = repro(folder, arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.out, "digits-one-task-seed3");
  expect_contains(result.out, "of training in all");
  EXPECT_FALSE(io::is_present(folder / "study"));
}

TEST(Repro, WrongWordsAndMissingDataAreTold) {
  const TempFolder folder;
  expect_repro_failure(folder, {"tabel1"}, kUsage, {"roap-repro: unknown table \"tabel1\"; did you mean \"table1\"?"});
  expect_repro_failure(folder, {"all", "--scale", "huge"}, kUsage, {"unknown scale \"huge\""});
  expect_repro_failure(folder, {}, kUsage, {"table is required", "See: roap-repro --help"});
  expect_repro_failure(folder, {"all", "--resume"}, kUsage, {"--out DIR"});
  expect_repro_failure(folder, {"all", "--set", "train.stepz=1"}, kUsage, {"did you mean \"train.steps\"?"});
  const Result paper = repro(folder, {"figure6", "--scale", "paper", "--out", "paper"});
  EXPECT_EQ(paper.exit_code, 0) << paper.err;
  expect_contains(paper.out, "cannot run: CIFAR-10 is not at data/cifar-10-batches-bin");
  expect_contains(io::read_file(folder / "paper/report.html"), "CIFAR-10 is not at");
}

TEST(Repro, DamagedStudiesAndRunsAreTold) {
  const TempFolder folder;
  fs::create_directory(folder / "foreign");
  write_text(folder / "foreign/letter.txt", "mine");
  expect_repro_failure(folder, {"figure6", "--resume", "--out", "foreign"}, kCheckpoint,
                       {"foreign is not a study's folder"});
  expect_repro_failure(folder, {"figure6", "--out", "foreign"}, kUsage, {"output folder foreign is in use"});
  ASSERT_EQ(repro(folder, tiny_study("figure6", "study", 10)).exit_code, 0);
  const std::string plan = io::read_file(folder / "study/plan.json");
  const std::string page = io::read_file(folder / "study/report.html");
  const Arguments resume{"figure6", "--resume", "--out", "study"};

  write_text(folder / "study/plan.json", plan.substr(0, plan.size() / 2));
  expect_repro_failure(folder, resume, kCheckpoint, {"plan.json: damaged"});
  std::string other = plan;
  other.replace(other.find("\"version\": \""), 12, "\"version\": \"9");
  write_text(folder / "study/plan.json", other);
  expect_repro_failure(folder, resume, kCheckpoint, {"written by version"});
  write_text(folder / "study/plan.json", plan);

  const std::string config = io::read_file(folder / "study/runs/digits-roap-seed0/config.toml");
  write_text(folder / "study/runs/digits-roap-seed0/config.toml", config + "\n[other]\nkey = 1\n");
  expect_repro_failure(folder, resume, kCheckpoint, {"digits-roap-seed0/config.toml"});
  std::string changed = config;
  changed.replace(changed.find("grounder_width = 2"), 18, "grounder_width = 4");
  write_text(folder / "study/runs/digits-roap-seed0/config.toml", changed);
  expect_repro_failure(folder, resume, kUsage,
                       {"digits-roap-seed0 was trained with other settings than the plan's now"});
  EXPECT_EQ(io::read_file(folder / "study/report.html"), page) << "an error changes nothing";
  write_text(folder / "study/runs/digits-roap-seed0/config.toml", config);

  // A run that was killed before its first checkpoint begins anew, and what was there is kept.
  fs::remove_all(folder / "study/runs/digits-roap-seed1/checkpoints");
  const Result again = repro(folder, resume);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  expect_contains(again.err, "set aside as study/runs/digits-roap-seed1.not-begun");
  EXPECT_TRUE(io::is_present(folder / "study/runs/digits-roap-seed1.not-begun/metrics.jsonl"));
}

TEST(Repro, TwoProcessesCannotWorkOnOneStudy) {
  const TempFolder folder, other;
  Process first(folder, tiny_study("figure6", "study", 100'000), 0, ROAP_REPRO_BINARY);
  ASSERT_TRUE(wait_until([&] { return metrics_lines(folder / "study/runs/digits-roap-seed0").size() > 2; }));
  expect_repro_failure(other, {"figure6", "--resume", "--out", (folder / "study").string()}, kUsage,
                       {"is in use by process"});
}

}  // namespace
}  // namespace roap::bin
