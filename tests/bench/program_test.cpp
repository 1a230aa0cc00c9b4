#include "tests/bin/run_roap.h"

// roap-bench as a user runs it, on the smallest of everything.

namespace roap::bin {
namespace {

constexpr int kSlower = 1, kUsage = 2, kData = 3;

Arguments quick(Arguments arguments) {
  if (arguments[0] != "ops") arguments.insert(arguments.end(), {"--repetitions", "6", "--seconds", "0.3"});
  for (const char* more : {"--device", "cpu", "--threads", "1", "--json", "r.json"}) {
    arguments.emplace_back(more);
  }
  return arguments;
}

nlohmann::json report_of(const TempFolder& folder) { return nlohmann::json::parse(io::read_file(folder / "r.json")); }

void expect_measurements(const nlohmann::json& report, std::size_t least) {
  EXPECT_EQ(report.at("roap_bench"), 1);
  EXPECT_EQ(report.at("threads"), 1);
  EXPECT_GT(report.at("ceilings").at("cpu").at("bytes_per_second"), 1e6);
  EXPECT_GT(report.at("ceilings").at("cpu").at("f32_flop_per_second"), 1e6);
  EXPECT_GT(report.at("peak_resident_bytes"), 1e6);
  ASSERT_GE(report.at("measurements").size(), least);
  for (const auto& m : report.at("measurements")) {
    EXPECT_FALSE(m.at("name").get<std::string>().empty());
    EXPECT_EQ(m.at("implementation"), "roap");
    EXPECT_EQ(m.at("device"), "cpu");
    EXPECT_GE(m.at("seconds").size(), 1u);
    EXPECT_LE(m.at("fastest"), m.at("p10"));
    EXPECT_LE(m.at("p10"), m.at("median"));
    EXPECT_LE(m.at("median"), m.at("p90"));
    EXPECT_GE(m.at("dense_flop"), m.at("flop"));
    for (const char* key : {"bytes", "floor_seconds", "peak_memory_bytes", "launches", "error"})
      EXPECT_TRUE(m.at(key).is_number());
  }
}

TEST(BenchProgram, BadArgumentsAreUsageErrors) {
  const TempFolder folder;
  expect_failure(folder, {}, kUsage, {"roap-bench: ", "See: roap-bench --help"});
  expect_failure(folder, {"bogus"}, kUsage, {"roap-bench --help"});
  expect_failure(folder, {"ops", "--bogus"}, kUsage, {"--bogus"});
  expect_failure(folder, {"ops", "--device", "gpu"}, kUsage, {"--device gpu: expected all, cpu, cuda or cuda:N"});
  expect_failure(folder, {"ops", "--device", "cpu", "--filter", "no such"}, kUsage, {"--filter no such"});
  expect_failure(folder, {"ops", "--repetitions", "0"}, kUsage, {"--repetitions"});
  expect_failure(folder, {"step", "--device", "cpu", "--preset", "digit"}, kUsage, {"did you mean \"digits\"?"});
  expect_failure(folder, {"ops", "--processor-time"}, kUsage, {"--threads 1 --device cpu"});
  expect_failure(folder, {"step", "--pairs", "0"}, kUsage, {"--pairs"});
  expect_failure(folder, {"scaling", "--device", "cpu", "--axis", "width"}, kUsage, {"--axis width"});
  for (const char* command : {"ops", "step", "search", "scaling"}) {
    const Result result = run(folder, {command, "--help"});
    EXPECT_EQ(result.exit_code, 0);
    expect_contains(result.out, std::string("Example: roap-bench ") + command);
  }
}

TEST(BenchProgram, MissingReportIsRefusedBeforeMeasuring) {
  const TempFolder folder;
  expect_failure(folder, {"ops", "--compare", "missing.json"}, kData, {"missing.json"});
}

TEST(BenchProgram, OpsFindAPlantedRegression) {
  const TempFolder folder;
  Arguments ops = quick({"ops", "--filter", "task_loss", "--no-peers", "--warm", "--html", "page.html"});
  ops.insert(ops.end(), {"--repetitions", "8", "--seconds", "20"});
  const Result first = run(folder, ops);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  expect_contains(first.out, "task_loss/");
  expect_measurements(report_of(folder), 2);
  expect_contains(io::read_file(folder / "page.html"), "</html>");
  nlohmann::json before = report_of(folder);
  for (auto& seconds : before.at("measurements").at(0).at("seconds")) seconds = seconds.get<double>() / 100;
  write_text(folder / "before.json", before.dump());
  Arguments again = ops;
  again.insert(again.end(), {"--compare", "before.json", "--least", "10"});
  const Result slower = run(folder, again);
  EXPECT_EQ(slower.exit_code, kSlower) << slower.out << slower.err;
  expect_contains(slower.out, "REGRESSION");
}

TEST(BenchProgram, StepTimesTheWholeAndItsOperators) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Result result = run(folder, quick({"step", "--preset", "tiny.toml"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json report = report_of(folder);
  expect_measurements(report, 10);
  const auto& whole = report.at("measurements").at(0);
  EXPECT_EQ(whole.at("name"), "tiny.toml");
  EXPECT_EQ(whole.at("sizes").at("pairs"), 8);
  EXPECT_GT(whole.at("peak_memory_bytes"), 1e4);
  EXPECT_GT(whole.at("launches"), 20);
}

TEST(BenchProgram, LeavesOutWhatTakesTooLong) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Result result =
      run(folder, quick({"scaling", "--preset", "tiny.toml", "--axis", "tasks", "--max-seconds", "0"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.out, "left out: tasks = ");
}

TEST(BenchProgram, ScalingFitsExponents) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(10));
  const Result result =
      run(folder, quick({"scaling", "--preset", "tiny.toml", "--axis", "lines", "--set", "model.width=8"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto fits = report_of(folder).at("fits");
  ASSERT_GE(fits.size(), 3u);
  EXPECT_EQ(fits.at(0).at("axis"), "lines");
  EXPECT_EQ(fits.at(0).at("part"), "step");
  const auto exec =
      std::find_if(fits.begin(), fits.end(), [](const auto& fit) { return fit.at("part") == "soft_exec"; });
  ASSERT_NE(exec, fits.end());
  EXPECT_NEAR(exec->at("expected"), 1.5, 0.5);
}

TEST(BenchProgram, SearchCountsFormulas) {
  const TempFolder folder;
  const Result result = run(folder, quick({"search", "--max-operators", "2"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto report = report_of(folder);
  expect_measurements(report, 5);
  const auto& last = report.at("measurements").back();
  EXPECT_EQ(last.at("name"), "pool, 3 symbols, up to 2 operators");
  EXPECT_EQ(last.at("sizes").at("formulas"), 150);  // the constant included
}

}  // namespace
}  // namespace roap::bin
