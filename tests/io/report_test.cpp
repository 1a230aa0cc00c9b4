#include <gtest/gtest.h>

#include <limits>

#include "io/base64.h"
#include "io/report/chart.h"
#include "io/report/html.h"
#include "io/report/run_record.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(Html, WordsNeverBecomeMarkup) {
  EXPECT_EQ(text("a < b && \"c\" > d").str(), "a &lt; b &amp;&amp; &quot;c&quot; &gt; d");
  EXPECT_EQ(element("p", {{"title", "\"><script>"}}, text("<b>")).str(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;b&gt;</p>");
  EXPECT_EQ(element("img", {{"alt", "x"}}).str(), "<img alt=\"x\">") << "has no end tag";
  const std::string page = html_page("</title><script>alert(1)</script>", paragraph("</main>"));
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(occurrences(page, "</main>"), 1u);
}

TEST(Html, BytesThatAreNoCharactersAreReplaced) {
  const std::string replaced = "\xef\xbf\xbd";
  EXPECT_EQ(text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80").str(), "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(text(std::string_view("a\0b\x1b\xff", 5)).str(), "a" + replaced + "b" + replaced + replaced);
  EXPECT_EQ(text("\xe2\x82").str(), replaced + replaced) << "cut in the middle";
  EXPECT_EQ(text("\xc3(").str(), replaced + "(");
}

TEST(Base64, AllRemainders) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64(std::string_view("\0\xff", 2)), "AP8=");
}

TEST(Chart, LeavesOutWhatCannotBeDrawn) {
  const ChartAxes log_axes{"loss", "step", "", true};
  const std::vector<ChartPoint> points{{1, 1}, {2, 0}, {3, -1}, {4, kInfinity}, {5, std::nan("")}, {6, 0.01}};
  const std::string chart = line_chart(log_axes, {{"run", points, 0}}).str();
  EXPECT_EQ(chart.find("nan"), std::string::npos);
  EXPECT_EQ(chart.find("inf"), std::string::npos);
  EXPECT_EQ(occurrences(chart, "<polyline"), 1u);
  expect_contains(chart, ">0.1<");  // a tick between the two values
  expect_contains(line_chart(log_axes, {{"run", {{1, -1}}, 0}}).str(), "nothing was logged yet");
  expect_contains(line_chart(log_axes, {}).str(), "nothing was logged yet");
}

TEST(Chart, OnePointAndEqualValuesHaveAScale) {
  for (const bool log_y : {false, true}) {
    const std::string one = line_chart({"c", "x", "", log_y}, {{"run", {{3, 2}}, 0}}).str();
    EXPECT_EQ(occurrences(one, "<circle"), 1u);
    EXPECT_EQ(one.find("nan"), std::string::npos);
    const std::string flat = line_chart({"c", "x", "", log_y, true}, {{"run", {{1, 2}, {2, 2}}, 0}}).str();
    EXPECT_EQ(flat.find("nan"), std::string::npos);
  }
}

TEST(Chart, LongSeriesAreThinnedAndSeveralGetALegend) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 100'000; ++i) points.push_back({static_cast<double>(i), 1.0 + i % 2});
  const std::string chart = line_chart({"c", "x", ""}, {{"first <run>", points, 0}, {"second", points, 9}}).str();
  EXPECT_LT(chart.size(), 30'000u);
  expect_contains(chart, "first &lt;run&gt;");
  expect_contains(chart, "s1 dashed");  // the ninth style repeats a colour with dashes
}

TEST(Chart, LogarithmicXPutsDecadesAtEqualDistances) {
  const ChartAxes axes{.title = "c", .x = "x", .y = "", .log_y = true, .log_x = true};
  const std::vector<ChartPoint> points{{-1, 1}, {0, 1}, {1, 1}, {10, 10}, {100, 100}};
  const std::string chart = line_chart(axes, {{"run", points, 0}}).str();
  const std::size_t path = chart.find("<polyline points=\"");
  ASSERT_NE(path, std::string::npos);
  double x[3] = {}, y[3] = {};
  ASSERT_EQ(std::sscanf(chart.c_str() + path, "<polyline points=\"%lf,%lf %lf,%lf %lf,%lf\"", &x[0], &y[0], &x[1],
                        &y[1], &x[2], &y[2]),
            6)
      << chart.substr(path, 100);
  EXPECT_GT(x[1] - x[0], 100);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_NEAR(y[0] - y[1], y[1] - y[2], 0.11);
  for (const char* tick : {">1<", ">10<", ">100<"}) EXPECT_GE(occurrences(chart, tick), 2u) << tick;  // of both axes
}

TEST(Chart, DotsHaveTitlesAndNoLine) {
  const Series dots{"cloud", {{1, 1, "first <dot>"}, {2, 2}}, kChartColours, Marks::dots};
  const std::string chart = line_chart({"c", "x", ""}, {dots}).str();
  EXPECT_EQ(occurrences(chart, "<circle"), 2u);
  EXPECT_EQ(occurrences(chart, "<polyline"), 0u);
  expect_contains(chart, "<title>first &lt;dot&gt;</title>");
  expect_contains(chart, "s0 hollow dot");
  Series both = dots;
  both.marks = Marks::both;
  EXPECT_EQ(occurrences(line_chart({"c", "x", ""}, {both}).str(), "<polyline"), 1u);
}

TEST(StackedBars, SharesOfEachBarAndOneLegend) {
  const std::string bars = stacked_bars("time", {{"first <bar>", {{"a", 1}, {"b", 3}}}, {"second", {{"b", 5}}}}).str();
  for (const char* part : {"first &lt;bar&gt;", "title=\"a 25.0 %\"", "title=\"b 75.0 %\"", "title=\"b 100.0 %\""}) {
    expect_contains(bars, part);
  }
  EXPECT_EQ(occurrences(bars, "<li>"), 2u);
  EXPECT_EQ(occurrences(bars, "class=\"s1\""), 2u) << "b looks the same in both bars";
}

TEST(Confusion, SharesOfEachTrueLevel) {
  const std::string table = confusion_table({{1, 0.1}, {1, 0.14}, {1, 0.16}, {1, -5}, {10, 99}, {2, kInfinity}}).str();
  expect_contains(table, ">75<");
  expect_contains(table, ">25<");
  expect_contains(table, ">100<");
  EXPECT_EQ(occurrences(table, "<td>-</td>"), 80u) << "eight levels without an image";
}

class Record : public testing::Test {
 protected:
  Record() {
    write("config.toml", to_toml(Config{}));
    write("STATUS", "finished step 20\n");
    write("command.txt", "roap train\n");
    write("environment.json", "{\"cpu\": \"x\"}");
    write("metrics.jsonl", R"({"step": 10, "loss": 2.0}
{"step": 20, "loss": null}
{"solved": 3, "step": 20, "kind": "final"}
)");
    write("programs.json", R"([{"formula": "s1", "gold": "s1", "verdict": "equal", "solved": true}])");
  }
  void write(const char* name, const std::string& text) { write_text(folder_ / name, text); }
  RunRecord read() const { return read_run_record(folder_.path()); }

  TempFolder folder_;
};

TEST_F(Record, ReadsAWholeRun) {
  const RunRecord record = read();
  EXPECT_TRUE(record.problems.empty());
  EXPECT_TRUE(record.finished());
  EXPECT_EQ(record.steps.size(), 2u);
  EXPECT_EQ(number_of(record.best_known(), "solved"), 3);
  EXPECT_EQ(number_of(record.best_known(), "absent"), std::nullopt);
  ASSERT_EQ(points_of(record.steps, "loss").size(), 1u) << "null is no number";
  EXPECT_EQ(record.programs.size(), 1u);
}

TEST_F(Record, ARunBeingWrittenIsReadAsFarAsItGoes) {
  write("STATUS", "running step 0\n");
  write("metrics.jsonl", "{\"step\": 10, \"loss\": 2.0}\n{\"step\": 20, \"lo");
  std::filesystem::remove(folder_ / "programs.json");
  const RunRecord record = read();
  EXPECT_TRUE(record.problems.empty()) << "a torn last line is no damage";
  EXPECT_FALSE(record.finished());
  EXPECT_EQ(record.steps.size(), 1u);
  EXPECT_TRUE(record.best_known().is_null());
  expect_contains(record.state_text(), "still being written");
}

TEST_F(Record, DamageIsToldAndTheRestIsRead) {
  write("metrics.jsonl",
        "{\"step\": 10, \"loss\": 2.0}\nrubbish\n[1]\n{\"step\": \"x\"}\n{\"step\": 20, \"loss\": 1.0}\n");
  write("programs.json", R"([{"formula": 3, "gold": "s1", "verdict": "equal"}])");
  write("environment.json", "{");
  std::filesystem::remove(folder_ / "STATUS");
  std::filesystem::remove(folder_ / "command.txt");
  const RunRecord record = read();
  EXPECT_EQ(record.steps.size(), 2u);
  EXPECT_TRUE(record.programs.is_null());
  ASSERT_EQ(record.problems.size(), 5u);
  for (const char* part : {"STATUS", "command.txt", "environment.json", "3 lines are damaged", "not a list of tasks"}) {
    EXPECT_TRUE(std::ranges::any_of(record.problems, [&](const std::string& p) { return p.find(part) != p.npos; }))
        << part;
  }
}

TEST_F(Record, AnotherVersionsSettingsAreRefused) {
  write("config.toml", "[train]\nnew_key = 1\n");
  expect_contains(message_of<CheckpointError>([&] { read(); }), "config.toml:2: unknown key \"train.new_key\"");
  std::filesystem::remove(folder_ / "config.toml");
  expect_contains(message_of<CheckpointError>([&] { read(); }), "is not a run folder");
}

}  // namespace
}  // namespace roap::io
