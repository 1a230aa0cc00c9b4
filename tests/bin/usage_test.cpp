#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {

constexpr int kUsage = 2;

TEST(Usage, UnknownCommandGetsASuggestion) {
  const TempFolder folder;
  expect_failure(folder, {"trian"}, kUsage,
                 {"roap: unknown command \"trian\"; did you mean \"train\"?", "roap --help"});
  expect_failure(folder, {"xyzzy"}, kUsage, {"unknown command \"xyzzy\". See: roap --help"});
  expect_failure(folder, {}, kUsage, {"roap: ", "roap --help"});
}

TEST(Usage, WrongOptionsNameTheCommandsHelp) {
  const TempFolder folder;
  expect_failure(folder, {"train", "--bogus"}, kUsage, {"--bogus", "See: roap train --help"});
  expect_failure(folder, {"eval"}, kUsage, {"run", "See: roap eval --help"});
  expect_failure(folder, {"tasks", "--symbols", "many"}, kUsage, {"--symbols", "many"});
}

TEST(Usage, EveryCommandHasHelpWithAnExample) {
  const TempFolder folder;
  for (const char* command : {"train", "resume", "eval", "programs", "predict", "tasks", "search", "solve", "trace",
                              "config", "graph", "report", "doctor"}) {
    const Result result = run(folder, {command, "--help"});
    EXPECT_EQ(result.exit_code, 0) << command;
    expect_contains(result.out, std::string("Example: roap ") + command);
  }
  EXPECT_EQ(run(folder, {"--help"}).exit_code, 0);
  EXPECT_EQ(run(folder, {"--version"}).exit_code, 0);
}

TEST(Usage, UnknownPresetAndKeyGetASuggestion) {
  const TempFolder folder;
  expect_failure(folder, {"train", "--preset", "digit"}, kUsage,
                 {"unknown preset \"digit\"; did you mean \"digits\"?", "cifar-small"});
  expect_failure(folder, {"train", "--set", "train.stepz=3"}, kUsage,
                 {"--set train.stepz=3: unknown key \"train.stepz\"; did you mean \"train.steps\"?"});
  expect_failure(folder, {"train", "--set", "train.steps"}, kUsage, {"--set train.steps: expected section.key=value"});
  expect_failure(folder, {"config", "--explain", "train.lrr"}, kUsage,
                 {"unknown key \"train.lrr\"; did you mean \"train.lr\"?"});
  expect_failure(folder, {"train", "--preset", "absent.toml"}, kUsage, {"absent.toml: No such file or directory"});
}

TEST(Usage, WrongTypesAreToldWithFileAndLine) {
  const TempFolder folder;
  write_text(folder / "wrong.toml", "[train]\n\nsteps = \"many\"\n");
  expect_failure(folder, {"train", "--preset", "wrong.toml"}, kUsage,
                 {"wrong.toml:3: train.steps: expected a whole number, found \"many\""});
  write_text(folder / "unknown.toml", "[train]\nsteps = 1\n[mode]\nwidth = 4\n");
  expect_failure(folder, {"train", "--preset", "unknown.toml"}, kUsage,
                 {"unknown.toml:3: unknown section [mode]; did you mean \"model\"?"});
  write_text(folder / "broken.toml", "[train]\nsteps = \n");
  expect_failure(folder, {"train", "--preset", "broken.toml"}, kUsage, {"broken.toml:2: column "});
  expect_failure(folder, {"train", "--seed", "one"}, kUsage, {"train.seed: expected a whole number, found \"one\""});
  expect_failure(folder, {"train", "--set", "train.lr=-1"}, kUsage,
                 {"train.lr: -1 is out of range: above 0, up to 10"});
}

TEST(Usage, WhatCannotBeHadIsToldSo) {
  const TempFolder folder;
  expect_failure(folder, {"train", "--device", "cuda:99"}, 5, {"device cuda"});
  expect_failure(folder, {"train", "--method", "mlp-onehot", "--set", "train.regauge=5"}, kUsage, {"train.regauge"});
  EXPECT_FALSE(io::is_present(folder / "runs")) << "a refused run leaves no folder behind";
}

TEST(Usage, TasksCountsThePool) {
  const TempFolder folder;
  const Result result = run(folder, {"tasks", "--json"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "{\"total\":1102,\"by_operators\":[3,19,128,952],\"constant\":1}\n");
  const Result list = run(folder, {"tasks", "--max-operators", "1", "--list", "--json"});
  EXPECT_EQ(nlohmann::json::parse(list.out)["formulas"].size(), 22u);
  expect_failure(folder, {"tasks", "--symbols", "0"}, kUsage, {"roap: "});
  expect_failure(folder, {"tasks", "--max-operators", "-1"}, kUsage, {"roap: "});
}

TEST(Usage, ConfigPrintsWhatItReads) {
  const TempFolder folder;
  const Result printed = run(folder, {"config", "--preset", "paper"});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  write_text(folder / "printed.toml", printed.out);
  EXPECT_EQ(run(folder, {"config", "--preset", "printed.toml"}).out, printed.out);
  const Result set = run(folder, {"config", "--set", "train.steps=7", "--seed", "3", "--json"});
  const auto json = nlohmann::json::parse(set.out);
  EXPECT_EQ(json["train"]["steps"], 7);
  EXPECT_EQ(json["train"]["seed"], 3);
}

TEST(Usage, AFullDiskBehindStandardOutputIsAnError) {
  if (!io::is_present("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const TempFolder folder;
  const std::string command =
      std::string("'") + ROAP_BINARY + "' tasks --json >/dev/full 2>'" + (folder / "err").string() + "'";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 5);
  expect_contains(io::read_file(folder / "err"), "standard output");
}

TEST(Usage, DoctorTestsItself) {
  const TempFolder folder;
  const Result result = run(folder, {"doctor", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["self_test_ok"], true);
}

}  // namespace
}  // namespace roap::bin
