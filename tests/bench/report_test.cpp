#include "bench/report.h"

#include <gtest/gtest.h>

#include "bench/page.h"
#include "bench/regressions.h"
#include "io/file_util.h"
#include "tests/io/io_test_util.h"

namespace roap::bench {
namespace {

Report report_with(double factor) {
  Report report = start_report("ops", 2);
  report.ceilings["cpu"] = {1e10, 1e11, 0};
  for (int k = 0; k < 3; ++k) {
    Measurement m;
    m.name = "linear/case" + std::to_string(k) + " linear";
    for (int i = 0; i < 12; ++i) m.seconds.push_back((1 + 0.01 * i) * (k == 1 ? factor : 1) * 1e-3);
    m.work = {1e6, 2e6, 4e6};
    m.floor = 1e-4;
    report.measurements.push_back(m);
  }
  return report;
}

TEST(BenchReport, PlantedRegressionIsFoundAndNoiseIsNot) {
  const std::vector<Change> slower = compare(report_with(1), report_with(1.3), 0.1);
  ASSERT_EQ(slower.size(), 3u);
  EXPECT_FALSE(slower[0].regression);
  EXPECT_TRUE(slower[1].regression);
  EXPECT_NEAR(slower[1].ratio(), 1.3, 1e-9);
  for (const double factor : {0.5, 1.0, 1.08}) {
    for (const Change& change : compare(report_with(1), report_with(factor), 0.1)) {
      EXPECT_FALSE(change.regression) << factor;
    }
  }
}

TEST(BenchReport, OneSlowRepetitionIsNoRegression) {
  Report now = report_with(1);
  now.measurements[1].seconds.back() = 1;
  for (const Change& change : compare(report_with(1), now, 0.1)) EXPECT_FALSE(change.regression);
}

TEST(BenchReport, TooFewRepetitionsAreSaid) {
  Report before = report_with(1), now = report_with(5);
  for (Report* report : {&before, &now}) {
    for (Measurement& m : report->measurements) m.seconds.resize(3);
  }
  const std::vector<Change> changes = compare(before, now, 0.1);
  EXPECT_FALSE(changes[1].regression);
  EXPECT_TRUE(changes[1].undecided);
  EXPECT_FALSE(changes[0].undecided);
  io::expect_contains(text_of(changes), "too few repetitions");
}

TEST(BenchReport, ComparesTheSameThingOnly) {
  Report now = report_with(2);
  for (Measurement& m : now.measurements) m.implementation = "oneDNN";
  EXPECT_TRUE(compare(report_with(1), now, 0.1).empty());
}

TEST(BenchReport, JsonComesBackAndDamagedFilesAreRefused) {
  const io::TempFolder folder;
  const std::string path = (folder.path() / "report.json").string();
  io::write_text(path, to_json(report_with(1)).dump());
  const Report back = read_report(path);
  ASSERT_EQ(back.measurements.size(), 3u);
  EXPECT_EQ(back.measurements[1].seconds, report_with(1).measurements[1].seconds);
  EXPECT_EQ(back.measurements[1].work.dense(), 4e6);
  for (const char* text : {"", "{}", "[1]", R"({"roap_bench": 999})", R"({"roap_bench": 1, "measurements": 3})"}) {
    io::write_text(path, text);
    EXPECT_THROW(read_report(path), DataError) << text;
  }
  EXPECT_THROW(read_report((folder.path() / "missing.json").string()), DataError);
}

TEST(BenchReport, PageHoldsChartsAndEscapesNames) {
  Report report = report_with(1);
  report.measurements[0].name = "linear/<b>&\" linear";
  const std::string page = page_of(report);
  io::expect_contains(page, "<svg");
  io::expect_contains(page, "Roofline, cpu");
  io::expect_contains(page, "&lt;b&gt;&amp;&quot;");
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  io::expect_contains(page, "default-src 'none'");
  for (const char* outside : {"http://", "https://", " src=", "@import"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

}  // namespace
}  // namespace roap::bench
