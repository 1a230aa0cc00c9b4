#include <fstream>
#include <iterator>
#include "io/safetensors.h"

#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {

TEST(Train, WritesARunFolderAndOneJsonObject) {
  const TempFolder folder;
  const Result result = train_tiny(folder, "run", 10);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  for (const char* key : {"solved",
                          "solved_exact",
                          "tasks",
                          "symbolic_loss_train",
                          "symbolic_loss_train_class_means",
                          "symbols_right_train",
                          "symbolic_loss_test",
                          "symbolic_loss_test_class_means",
                          "symbols_right_test",
                          "test_loss",
                          "test_loss_normalised",
                          "test_loss_solved",
                          "test_loss_normalised_solved",
                          "test_loss_unsolved",
                          "test_loss_normalised_unsolved",
                          "train_loss",
                          "train_loss_normalised",
                          "generalisation_loss",
                          "generalisation_loss_normalised",
                          "generalisation_tasks",
                          "program_length",
                          "formula_length",
                          "run_success",
                          "run_success_strict",
                          "symbols",
                          "gauge",
                          "seconds",
                          "cpu_seconds",
                          "steps",
                          "skipped_steps",
                          "run"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["generalisation_tasks"], 13) << "all formulas that are left";
  for (const char* key : {"a", "b", "loss", "text"}) EXPECT_TRUE(json["gauge"].contains(key)) << key;
  EXPECT_EQ(json["tasks"], 8);
  EXPECT_EQ(json["steps"], 10);
  EXPECT_EQ(json["run"], "run");
  for (const char* file : {"config.toml", "command.txt", "environment.json", "metrics.jsonl", "programs.json", "STATUS",
                           "checkpoints/step-10/model.safetensors", "checkpoints/step-10/state.safetensors",
                           "checkpoints/step-10/manifest.json"}) {
    EXPECT_TRUE(io::is_file(folder / (std::string("run/") + file))) << file;
  }
  EXPECT_EQ(io::read_file(folder / "run/STATUS"), "finished step 10\n");
  EXPECT_EQ(io::read_file(folder / "run/command.txt"), "roap train --preset tiny.toml --out run --json\n");
  EXPECT_EQ(metrics_lines(folder / "run").size(), 11u) << "a line for every step and the final evaluation";
}

TEST(Train, EvalAndProgramsRepeatWhatTrainingSaid) {
  const TempFolder folder;
  const auto trained = nlohmann::json::parse(train_tiny(folder, "run", 10).out);
  const Result eval = run(folder, {"eval", "run", "--json", "--generalisation"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(without_clock(nlohmann::json::parse(eval.out)), without_clock(trained));
  const auto programs = nlohmann::json::parse(run(folder, {"programs", "run", "--json"}).out);
  EXPECT_EQ(programs, nlohmann::json::parse(io::read_file(folder / "run/programs.json")));
  EXPECT_EQ(programs.size(), 8u);
}

TEST(Train, GeneralisationIsMeasuredAtTheEndAndOnRequest) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(20));
  const auto train = [&](const std::string& name, const std::string& setting) {
    return run(folder, {"train", "--preset", "tiny.toml", "--out", name, "--json", "--set", "log.eval_every_steps=10",
                        "--set", setting});
  };
  ASSERT_EQ(train("run", "train.seed=0").exit_code, 0);
  for (const nlohmann::json& line : metrics_lines(folder / "run")) {
    if (!line.contains("kind")) continue;
    EXPECT_EQ(line["generalisation_tasks"].is_null(), line["kind"] == "evaluation") << line;
    EXPECT_TRUE(line["train_loss"].is_number());
  }
  const auto eval = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"eval", "run", "--json"});
    return nlohmann::json::parse(run(folder, more).out);
  };
  EXPECT_TRUE(eval({})["generalisation_loss"].is_null());
  EXPECT_EQ(eval({"--generalisation", "5"})["generalisation_tasks"], 5);
  expect_failure(folder, {"eval", "run", "--generalisation", "0"}, 2, {"--generalisation"});
  expect_failure(folder, {"eval", "run", "--generalisation", "some"}, 2, {"--generalisation"});
  const Result all = train("all", "tasks.count=21");
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_TRUE(nlohmann::json::parse(all.out)["generalisation_tasks"].is_null()) << "no formula is left";
  expect_failure(folder, {"eval", "all", "--generalisation"}, 2, {"trained on all 21 formulas"});
}

TEST(Train, EvalOnUnseenTasks) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run").exit_code, 0);
  const auto evaluate = [&](const std::string& folder_name) {
    return run(folder, {"eval", folder_name, "--unseen", "--json"});
  };
  const Result result = evaluate("run");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["tasks"], 8);
  write_text(folder / "tiny.toml", tiny_config(1));
  const auto train = [&](const std::string& name, const std::string& setting) {
    return run(folder, {"train", "--preset", "tiny.toml", "--out", name, "--set", setting}).exit_code;
  };
  ASSERT_EQ(train("hybrid", "train.method=hybrid"), 0);
  EXPECT_TRUE(nlohmann::json::parse(evaluate("hybrid").out).contains("synthesised_solved"));
  ASSERT_EQ(train("free", "train.method=free"), 0);
  expect_failure(folder, {"eval", "free", "--unseen"}, 2, {"method free"});
  ASSERT_EQ(train("whole", "tasks.count=17"), 0);
  EXPECT_EQ(nlohmann::json::parse(evaluate("whole").out)["tasks"], 4) << "all that are left";
  ASSERT_EQ(train("all", "tasks.count=21"), 0);
  expect_failure(folder, {"eval", "all", "--unseen"}, 2, {"trained on all 21 formulas"});
}

TEST(Train, AnMlpIsTrainedEvaluatedAndApplied) {
  for (const std::string method : {"mlp-disjoint", "mlp-onehot"}) {
    const TempFolder folder;
    write_text(folder / "tiny.toml", tiny_config(10));
    const Result result = run(folder, {"train", "--preset", "tiny.toml", "--method", method, "--out", "run", "--json",
                                       "--set", "train.runs=2"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto trained = nlohmann::json::parse(result.out);
    for (const char* key : {"program_length", "formula_length"}) EXPECT_TRUE(trained[key].is_null()) << key;
    EXPECT_EQ(trained["solved"], 0);
    EXPECT_TRUE(trained["generalisation_loss"].is_number());
    const auto evaluated = nlohmann::json::parse(run(folder, {"eval", "run", "--json", "--generalisation"}).out);
    EXPECT_EQ(without_clock(evaluated), without_clock(trained));
    expect_contains(run(folder, {"eval", "run"}).out, "0 of 8 tasks solved");
    expect_failure(folder, {"programs", "run"}, 2, {"method " + method, "no programs"});
    expect_failure(folder, {"eval", "run", "--unseen"}, 2, {"method " + method, "--generalisation"});
    const auto programs = nlohmann::json::parse(io::read_file(folder / "run/programs.json"));
    ASSERT_EQ(programs.size(), 8u);
    EXPECT_TRUE(programs[7]["formula"].is_null());
    EXPECT_TRUE(programs[7]["test_loss"].is_number());
    EXPECT_NE(programs[7]["gold"], "");
  }
}

TEST(Train, TheSameSeedGivesTheSameBitsWithAnyNumberOfThreads) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const auto weights = [&](const std::string& name, const std::string& threads, const std::string& seed) {
    const Result result = run(folder, {"train", "--preset", "tiny.toml", "--set", "device.threads=" + threads, "--seed",
                                       seed, "--out", name});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return io::read_file(folder / (name + "/checkpoints/step-10/model.safetensors"));
  };
  const std::string one = weights("one", "1", "1");
  EXPECT_EQ(weights("three", "3", "1"), one);
  EXPECT_NE(weights("other", "1", "2"), one);
}

TEST(Train, DivergenceHasItsOwnExitCode) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(50));
  const Result result =
      run(folder, {"train", "--preset", "tiny.toml", "--set", "train.lr=10", "--set", "train.on_nan=stop", "--set",
                   "train.sharpness=1000", "--set", "model.lines=60", "--set", "train.loss=gaussian", "--out", "run"});
  EXPECT_EQ(result.exit_code, 6) << result.err;
  expect_contains(result.err, "not finite");
  expect_contains(io::read_file(folder / "run/STATUS"), "diverged step ");
}

TEST(Trace, WritesTheTensorsOfOneStep) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Result result = run(folder, {"trace", "--preset", "tiny.toml", "--step", "2", "--out", "step.safetensors"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto file = io::SafetensorsFile::read(folder / "step.safetensors");
  using Shape = std::vector<std::int64_t>;
  const std::int64_t logits = file.tensor("logits").shape.at(1);
  EXPECT_EQ(file.tensor("batch.inputs").shape, (Shape{24, 1, 8, 8}));
  EXPECT_EQ(file.tensor("batch.y").shape, (Shape{8, 8}));
  EXPECT_EQ(file.tensor("sigma").shape, Shape{8});
  EXPECT_EQ(file.tensor("noise.gumbel").shape, (Shape{8, logits}));
  EXPECT_EQ(file.tensor("symbols").shape, (Shape{8, 3}));
  EXPECT_EQ(file.tensor("z").shape, (Shape{8, logits}));
  EXPECT_EQ(file.tensor("yhat").shape, (Shape{8, 8}));
  EXPECT_EQ(file.tensor("length").shape, Shape{8});
  EXPECT_EQ(file.tensor("loss").shape, Shape{1});
  EXPECT_EQ(file.metadata().at("step"), "2");
  for (const char* prefix : {"param.", "grad.", "after."}) {
    EXPECT_TRUE(file.contains(std::string(prefix) + "grounder.conv1.weight")) << prefix;
  }
}

TEST(Trace, OfAnMlpHasNoPrograms) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Result result =
      run(folder, {"trace", "--preset", "tiny.toml", "--method", "mlp-onehot", "--out", "step.safetensors"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto file = io::SafetensorsFile::read(folder / "step.safetensors");
  EXPECT_EQ(file.tensor("yhat").shape, (std::vector<std::int64_t>{8, 8}));
  EXPECT_EQ(file.tensor("param.head.0.bias").shape, (std::vector<std::int64_t>{8, 8}));
  for (const char* name : {"z", "logits", "length", "noise.gumbel"}) EXPECT_FALSE(file.contains(name)) << name;
}

/// The environment that a training roap lives in, where it began with that wait policy or none.
std::string environment_of_training(const char* wait_policy) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(100000));
  const char* before = std::getenv("OMP_WAIT_POLICY");
  const std::string kept = before == nullptr ? "" : before;
  wait_policy == nullptr ? ::unsetenv("OMP_WAIT_POLICY") : ::setenv("OMP_WAIT_POLICY", wait_policy, 1);
  const Process process(folder, {"train", "--preset", "tiny.toml", "--out", "run"});
  if (before != nullptr) ::setenv("OMP_WAIT_POLICY", kept.c_str(), 1);
  EXPECT_TRUE(wait_until([&] { return !metrics_lines(folder / "run").empty(); }));
  std::ifstream environment("/proc/" + std::to_string(process.id()) + "/environ");  // its size is said to be 0
  return {std::istreambuf_iterator<char>(environment), {}};
}

TEST(Train, IdleThreadsSpinBriefly) {
  ASSERT_EQ(std::getenv("GOMP_SPINCOUNT"), nullptr);
  expect_contains(environment_of_training(nullptr), "GOMP_SPINCOUNT=2000");
  EXPECT_EQ(environment_of_training("active").find("GOMP_SPINCOUNT"), std::string::npos) << "what the user says counts";
}

}  // namespace
}  // namespace roap::bin
