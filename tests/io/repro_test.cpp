#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "io/file_util.h"
#include "io/repro/results.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {
namespace fs = std::filesystem;

TEST(Wilson, KnownIntervals) {
  // Of the closed form, by hand and as statsmodels' proportion_confint(method="wilson") has it.
  EXPECT_NEAR(wilson_interval(459, 500).low, 0.8905, 5e-4);
  EXPECT_NEAR(wilson_interval(459, 500).high, 0.9389, 5e-4);
  EXPECT_DOUBLE_EQ(wilson_interval(0, 10).low, 0);
  EXPECT_NEAR(wilson_interval(0, 10).high, 0.2775, 5e-4);
  EXPECT_DOUBLE_EQ(wilson_interval(1, 1).high, 1);
  message_of<UsageError>([] { wilson_interval(0, 0); });
  message_of<UsageError>([] { wilson_interval(3, 2); });
}

CellNumbers share(double paper, double paper_roap, int solved, int roap, int tasks) {
  CellNumbers cell;
  cell.is_share = true;
  cell.paper = paper;
  cell.paper_roap = paper_roap;
  cell.ours = static_cast<double>(solved) / tasks;
  cell.ours_roap = static_cast<double>(roap) / tasks;
  cell.interval = wilson_interval(solved, tasks);
  cell.roap_interval = wilson_interval(roap, tasks);
  return cell;
}

CellNumbers loss(double paper, double paper_roap, double ours, double roap) {
  CellNumbers cell;
  cell.paper = paper;
  cell.paper_roap = paper_roap;
  cell.ours = ours;
  cell.ours_roap = roap;
  return cell;
}

Verdict verdict(const CellNumbers& cell) { return judge(cell).verdict; }

TEST(Judge, OrderingsOfShares) {
  EXPECT_EQ(verdict(share(0.1, 0.9, 10, 95, 100)), Verdict::ordering_holds);
  EXPECT_EQ(verdict(share(0.1, 0.9, 95, 10, 100)), Verdict::not_reproduced);
  EXPECT_EQ(verdict(share(0.1, 0.9, 50, 52, 100)), Verdict::undecided);
  EXPECT_EQ(verdict(share(0.9, 0.9, 10, 95, 100)), Verdict::not_comparable) << "the paper has no ordering";
}

TEST(Judge, OrderingsOfLosses) {
  EXPECT_EQ(verdict(loss(1.0, 0.1, 0.5, 0.2)), Verdict::ordering_holds);
  EXPECT_EQ(verdict(loss(1.0, 0.1, 0.2, 0.5)), Verdict::not_reproduced);
  EXPECT_EQ(verdict(loss(1.0, 0.1, 0.21, 0.2)), Verdict::undecided);
  EXPECT_EQ(verdict(loss(0.11, 0.11, 0.5, 0.2)), Verdict::not_comparable);
  EXPECT_EQ(verdict(loss(1.0, 0.1, INFINITY, 0.2)), Verdict::not_reproduced);
}

TEST(Judge, NumbersAreComparedInThePublishedSettingOnly) {
  CellNumbers cell = share(0.918, 0.918, 90, 90, 100);
  cell.is_roap = true;
  EXPECT_EQ(verdict(cell), Verdict::not_comparable);
  cell.paper_scale = true;
  EXPECT_EQ(verdict(cell), Verdict::reproduced);
  cell.ours = 0.5;
  EXPECT_EQ(verdict(cell), Verdict::not_reproduced);
  CellNumbers near = loss(0.11, 0.11, 0.2, 0.2);
  near.paper_scale = true;
  EXPECT_EQ(verdict(near), Verdict::reproduced);
  near.ours = 0.23;
  EXPECT_EQ(verdict(near), Verdict::not_comparable);
}

TEST(Judge, MissingNumbersHaveAReason) {
  CellNumbers cell;
  EXPECT_EQ(verdict(cell), Verdict::not_measured);
  EXPECT_NE(judge(cell).reason, "");
  cell.ours = 1;
  EXPECT_EQ(verdict(cell), Verdict::ours);
  cell.paper = 2;
  EXPECT_EQ(verdict(cell), Verdict::not_comparable) << "without a first row";
}

PlanOptions options(const std::string& table, const std::string& scale, const std::string& data = "") {
  PlanOptions result;
  result.table = table;
  result.scale = scale;
  result.data = data;
  return result;
}

TEST(Plan, EveryRowHasRunsOrAReasonAtEveryScale) {
  const TempFolder data;
  for (const std::string& scale : scale_names()) {
    const std::string source = scale == "smoke" ? "" : "cifar10:" + data.path().string();
    const Plan plan = make_plan(options("all", scale, source));
    for (const Study& study : plan.studies) {
      std::set<std::string> names;
      for (const PlannedRun& run : study.runs) {
        EXPECT_TRUE(names.insert(run.name).second) << run.name;
        EXPECT_TRUE(run.config.has_value() != !run.problem.empty()) << run.name;
        if (run.group.starts_with("mlp-")) continue;  // a version may lack the method, and says so
        EXPECT_TRUE(run.config) << scale << " " << run.name << ": " << run.problem;
      }
      for (const auto* rows : {&study.table1, &study.table2, &study.figure5, &study.figure6}) {
        for (const ReproRow& row : *rows) EXPECT_TRUE(!study.runs_of(row).empty() || !row.reason.empty()) << row.id;
      }
    }
  }
}

TEST(Plan, ATableNeedsItsOwnRunsOnly) {
  const Plan plan = make_plan(options("table2", "smoke"));
  ASSERT_EQ(plan.studies.size(), 1u);
  std::set<std::string> groups;
  for (const PlannedRun& run : plan.studies[0].runs) groups.insert(run.group);
  EXPECT_EQ(groups, (std::set<std::string>{"roap", "one-task"}));
  EXPECT_TRUE(plan.studies[0].table1.empty());
}

TEST(Plan, ThePaperScaleIsThePaperPreset) {
  const TempFolder data;
  const Plan plan = make_plan(options("table1", "paper", "cifar10:" + data.path().string()));
  Config roap = *plan.studies[0].runs[0].config;
  Config preset = load_config("paper");
  preset.data.source = roap.data.source;
  preset.checkpoint = roap.checkpoint;
  preset.log = roap.log;
  EXPECT_EQ(roap, preset);
}

TEST(Plan, BranchesShareEverythingButThePriorAndStartAtACheckpoint) {
  const Plan plan = make_plan(options("figure6", "smoke"));
  int branches = 0;
  for (const PlannedRun& run : plan.studies[0].runs) {
    if (run.branch_of.empty()) continue;
    ++branches;
    const auto parent = std::ranges::find(plan.studies[0].runs, run.branch_of, &PlannedRun::name);
    ASSERT_NE(parent, plan.studies[0].runs.end());
    EXPECT_EQ(run.branch_step, run.config->train.steps / 2);
    EXPECT_EQ(run.branch_step % parent->config->checkpoint.every_steps, 0);
    EXPECT_EQ(parent->config->checkpoint.keep, 0) << "all are kept";
    Config same = *run.config;
    EXPECT_EQ(same.train.lambda, 0);
    same.train.lambda = parent->config->train.lambda;
    same.checkpoint = parent->config->checkpoint;
    EXPECT_EQ(same, *parent->config);
  }
  EXPECT_EQ(branches, 2);
}

TEST(Plan, SettingsGoOverTheRecipeButNotOverWhatARowIsAbout) {
  PlanOptions given = options("all", "smoke");
  given.settings = {"train.steps=7", "model.lines=5", "tasks.count=9"};
  const Plan plan = make_plan(given);
  for (const PlannedRun& run : plan.studies[0].runs) {
    if (!run.config) continue;
    EXPECT_EQ(run.config->train.steps, 7) << run.name;
    EXPECT_EQ(run.config->model.lines, run.group == "depth-3" ? 3 : run.group == "depth-10" ? 10 : 5) << run.name;
    EXPECT_EQ(run.config->tasks.count, run.group == "one-task" ? 1 : 9) << run.name;
  }
  given.settings = {"train.stepz=7"};
  expect_contains(message_of<UsageError>([&] { make_plan(given); }), "did you mean \"train.steps\"");
}

TEST(Plan, WhatIsUnknownOrMissingIsTold) {
  expect_contains(message_of<UsageError>([] { make_plan(options("tabel1", "smoke")); }), "did you mean \"table1\"");
  expect_contains(message_of<UsageError>([] { make_plan(options("all", "smal")); }), "did you mean \"small\"");
  expect_contains(message_of<UsageError>([] { make_plan(options("all", "smoke", "cifar10:x")); }), "--data is for");
  const Plan plan = make_plan(options("table1", "paper", "cifar10:/absent"));
  for (const PlannedRun& run : plan.studies[0].runs) expect_contains(run.problem, "CIFAR-10 is not at /absent");
}

/// A study's folder as training leaves it, without any training.
class Results : public testing::Test {
 protected:
  void write_run(const std::string& name, const std::string& final_line, const std::string& programs = "") {
    const fs::path path = folder_ / ("runs/" + name);
    fs::create_directories(path);
    write_text(path / "config.toml", to_toml(Config{}));
    write_text(path / "STATUS", "finished step 600\n");
    write_text(path / "command.txt", "roap train\n");
    write_text(path / "environment.json", "{}");
    write_text(path / "metrics.jsonl", final_line + "\n");
    if (!programs.empty()) write_text(path / "programs.json", programs);
  }
  static std::string line(int solved, double train_loss, double symbolic_loss) {
    return nlohmann::json{{"kind", "final"},          {"step", 600},
                          {"solved", solved},         {"tasks", 30},
                          {"train_loss", train_loss}, {"symbolic_loss_test", symbolic_loss},
                          {"test_loss", 0.1},         {"generalisation_loss", nullptr}}
        .dump();
  }
  TempFolder folder_;
};

TEST_F(Results, TheRunWithTheLeastTrainingLossIsReported) {
  write_run("digits-roap-seed0", line(29, 0.2, 0.001));
  write_run("digits-roap-seed1", line(20, 0.1, 0.002));
  write_run("digits-free-seed0", line(2, 0.5, 0.5));
  const Plan plan = make_plan(options("table1", "smoke"));
  const auto results = collect_results(plan, folder_.path());
  const RowResult& roap = results[0].table1[0];
  ASSERT_NE(roap.best, nullptr);
  EXPECT_EQ(roap.best->run->name, "digits-roap-seed1");
  EXPECT_EQ(roap.cells[0].ours, "20 / 30");
  EXPECT_EQ(roap.cells[1].interval, "0.00100 to 0.00200 over 2 runs");
  EXPECT_EQ(roap.cells[3].judgement.verdict, Verdict::not_measured) << "null is no number";
  const auto free_row =
      std::ranges::find(results[0].table1, "no-amortised", [](const RowResult& row) { return row.row->id; });
  EXPECT_EQ(free_row->cells[0].judgement.verdict, Verdict::ordering_holds);
  for (const RowResult& row : results[0].table1) {
    for (const Cell& cell : row.cells) {
      EXPECT_FALSE(cell.paper.empty() || cell.ours.empty() || cell.interval.empty()) << row.row->id;
      EXPECT_FALSE(cell.judgement.reason.empty()) << row.row->id;
    }
  }
  const auto json = results_json(plan, results);
  EXPECT_EQ(json["studies"][0]["table1"][0]["best"], "digits-roap-seed1");
  expect_contains(results_markdown(plan, results), "**20 / 30**");
}

TEST_F(Results, RunSuccessCountsRunsAndFigure5CountsTasks) {
  const char* programs = R"([{"formula": "s1", "gold": "s1", "verdict": "equal", "solved": true},
 {"formula": "s1", "gold": "s1 * s2 - s3", "verdict": "differ", "solved": false},
 {"formula": null, "gold": "s2 * s2 + s3", "verdict": "equal", "solved": true}])";
  write_run("digits-roap-seed0", line(2, 0.2, 0.04), programs);
  write_run("digits-roap-seed1", line(2, 0.3, 0.06));
  const Plan plan = make_plan(options("all", "smoke"));
  const auto results = collect_results(plan, folder_.path());
  EXPECT_EQ(results[0].table2[0].cells[0].ours, "1 of 2 runs, 50 %");
  EXPECT_EQ(results[0].table2[1].cells[0].judgement.verdict, Verdict::not_measured);
  const Figure5& figure = results[0].figure5;
  ASSERT_EQ(figure.table.rows, (std::vector<std::string>{"0", "2"}));
  EXPECT_EQ(figure.counts[0].back(), "1 / 1");
  EXPECT_EQ(figure.counts[1].back(), "1 / 2");
  EXPECT_EQ(figure.counts[1].front(), "no finished run");
}

TEST_F(Results, TheEvaluationsOwnWordOnSuccessCounts) {
  auto said = nlohmann::json::parse(line(2, 0.2, 0.06));
  said["run_success"] = true;
  write_run("digits-roap-seed0", said.dump());
  const Plan plan = make_plan(options("table2", "smoke"));
  EXPECT_EQ(collect_results(plan, folder_.path())[0].table2[0].cells[0].ours, "1 of 1 runs, 100 %");
}

TEST_F(Results, Figure6TellsKindsByTheProtocol) {
  const auto evaluation = [](int step, int solved, bool last) {
    return nlohmann::json{{"kind", last ? "final" : "evaluation"}, {"step", step}, {"solved", solved}, {"tasks", 30}}
        .dump();
  };
  write_run("digits-roap-seed0", evaluation(300, 20, false) + "\n" + evaluation(600, 28, true));
  write_run("digits-no-prior-seed0", evaluation(600, 25, true));
  write_run("digits-roap-seed1", evaluation(300, 1, false) + "\n" + evaluation(600, 28, true));
  write_run("digits-no-prior-seed1", evaluation(600, 2, true));
  const Plan plan = make_plan(options("figure6", "smoke"));
  const auto results = collect_results(plan, folder_.path());
  ASSERT_EQ(results[0].figure6.size(), 2u);
  EXPECT_EQ(results[0].figure6[0].kind, "good");
  EXPECT_EQ(results[0].figure6[1].kind, "salvageable");
  expect_contains(results[0].figure6[1].reason, "solved 3 % before, 93 % with the prior, 7 % without");
  EXPECT_EQ(results[0].figure6_missing, std::vector<std::string>{"No hopeless run among these 2."});
}

}  // namespace
}  // namespace roap::io
