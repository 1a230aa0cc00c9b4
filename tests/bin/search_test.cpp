#include <cmath>

#include "io/image_file.h"
#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {

using nlohmann::json;

constexpr int kUsage = 2;
constexpr int kData = 3;
constexpr int kDevice = 5;

/// 20 rows of y = (s1 + s2) * s3, with a column more.
std::string product_table(const std::string& more = "", const std::string& name = "") {
  std::string text = "s1,s2,s3,y" + name + "\n";
  for (int i = 0; i < 20; ++i) {
    const int a = i % 10 + 1;
    const int b = (7 * i) % 10 + 1;
    const int c = (3 * i + i / 10) % 10 + 1;
    text += std::to_string(a) + "," + std::to_string(b) + "," + std::to_string(c) + "," + std::to_string((a + b) * c) +
            more + "\n";
  }
  return text;
}

TEST(Search, PrintsTheFrontAndJson) {
  const TempFolder folder;
  write_text(folder / "t.csv", product_table());
  const Result text = run(folder, {"search", "t.csv", "--max-operators", "3"});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  expect_contains(text.out, "(s1 + s2) * s3\n");
  const Result result = run(folder, {"search", "t.csv", "--max-operators", "3", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json parsed = json::parse(result.out);
  const json& formulas = parsed["formulas"];
  EXPECT_EQ(formulas[0]["operators"], 0);
  const auto chosen = std::ranges::find_if(formulas, [](const json& f) { return f["chosen"] == true; });
  ASSERT_NE(chosen, formulas.end());
  EXPECT_EQ((*chosen)["formula"], "(s1 + s2) * s3");
  EXPECT_EQ((*chosen)["operators"], 2);
  EXPECT_EQ((*chosen)["error"], 0.0);
  EXPECT_EQ((*chosen)["error_normalised"], 0.0);
  EXPECT_EQ(parsed["complete"], true);
}

TEST(Search, SeveralTasksAndGoldFormulas) {
  const TempFolder folder;
  std::string text = product_table(",one,(s1 + s2) * s3", ",task,gold");
  for (int i = 1; i <= 5; ++i)
    text += std::to_string(i) + ",2," + std::to_string(i * i) + "," + std::to_string(i - 2) + ",two,s1 + s2\n";
  write_text(folder / "t.csv", text);
  const Result result = run(folder, {"search", "t.csv", "--max-operators", "2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json tasks = json::parse(result.out)["tasks"];
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0]["task"], "one");
  for (const json& formula : tasks[0]["formulas"]) {
    EXPECT_EQ(formula["equal"], formula["formula"] == "(s1 + s2) * s3") << formula;
  }
  expect_contains(tasks[1]["formulas"][0]["verdict"], "different: at s = (");
}

TEST(Search, AmbiguousDataAreToldSo) {
  const TempFolder folder;
  write_text(folder / "t.csv", "s1,s2,y\n1,1,2\n2,2,4\n3,3,6\n");
  const Result result = run(folder, {"search", "t.csv", "--max-operators", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.out, "as good: s1 + s2, s2 + s2");
  expect_contains(result.out, "ambiguous: 2 other formulas of the same size fit as well within noise");
}

TEST(Search, BadTablesAreRefusedWithTheirPlace) {
  const TempFolder folder;
  const auto refuse = [&](const std::string& table, const std::vector<std::string>& parts) {
    write_text(folder / "t.csv", table);
    expect_failure(folder, {"search", "t.csv"}, kData, parts);
  };
  refuse("s1,s2\n1,2\n", {"t.csv:1: no column y (there are: s1, s2)"});
  refuse("s1,y\n1,2\nabc,3\n", {"t.csv:3:1: column s1: expected a number, found \"abc\""});
  refuse("s1,y\n1,2\n2,nan\n", {"t.csv:3:3: column y: expected a finite number, found \"nan\""});
  refuse("s1,y\n1,2\n", {"t.csv:2: one row is too little"});
  refuse("s1,y\n1,2\n3\n", {"t.csv:3:1: 1 fields, but the header has 2 columns"});
  refuse("s1,y\n\"1,2\n", {"t.csv:2:1: the quote that opens here is not closed"});
  refuse("", {"t.csv: the table is empty"});
  expect_failure(folder, {"search", "absent.csv"}, kData, {"absent.csv: No such file or directory"});
  write_text(folder / "wide.csv", "s1,s2,s3,s4,s5,s6,s7,s8,s9,y\n1,1,1,1,1,1,1,1,1,1\n2,1,1,1,1,1,1,1,1,1\n");
  expect_failure(folder, {"search", "wide.csv"}, kUsage, {"choose 1 to 8 symbols"});
}

TEST(Search, BadOptionsAreRefused) {
  const TempFolder folder;
  write_text(folder / "t.csv", product_table());
  expect_failure(folder, {"search", "t.csv", "--operators", "add,pow"}, kUsage, {"unknown operator \"pow\"", "square"});
  expect_failure(folder, {"search", "t.csv", "--max-operators", "-1"}, kUsage, {"--max-operators"});
  for (const char* memory : {"64", "0M", "-1G", "M", "9999999999999G", "1.5G"}) {
    expect_failure(folder, {"search", "t.csv", "--memory", memory}, kUsage, {"--memory", "512M"});
  }
  expect_failure(folder, {"search", "t.csv", "--memory", "1M"}, kDevice, {"--memory 1M", "allow at least"});
  expect_failure(folder, {"search"}, kUsage, {"table", "See: roap search --help"});
}

TEST(Search, StaysBelowTheMemoryItIsAllowed) {
  const TempFolder folder;
  std::string text = "s1,s2,s3,s4,s5,y\n";
  for (int i = 0; i < 60; ++i) {
    for (int j = 1; j <= 5; ++j) text += std::to_string((i * (2 * j + 1)) % 11 / 10.0) + ",";
    text += std::to_string(i % 7) + "\n";
  }
  write_text(folder / "t.csv", text);
  constexpr long kLimit = 70;  // MiB; all formulas of up to four operators would take 60 MB with their values
  const Result result = run(folder, {"search", "t.csv", "--memory", std::to_string(kLimit) + "M", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json parsed = json::parse(result.out);
  EXPECT_EQ(parsed["complete"], false);
  expect_contains(result.err, "--memory 70M was enough for formulas of up to 4 operators, not 5");
  EXPECT_GT(result.peak_kib, 8 * 1024);
  EXPECT_LE(result.peak_kib, kLimit * 1024);
}

TEST(Solve, FindsFormulasOfImages) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run").exit_code, 0);
  std::string table = "x1,x2,y,task\n";
  for (int i = 0; i < 6; ++i) {
    io::Image image{8, 8, 1, std::vector<std::uint8_t>(64, static_cast<std::uint8_t>(40 * i))};
    const std::string name = "image" + std::to_string(i) + ".png";
    io::write_png(folder / name, image);
    table += name + ",image0.png," + std::to_string(i) + ",first\n";
  }
  write_text(folder / "t.csv", table);
  const Result result = run(folder, {"solve", "run", "t.csv", "--json", "--max-operators", "2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json parsed = json::parse(result.out);
  EXPECT_EQ(parsed["symbols"], "not identified");
  EXPECT_EQ(parsed["tasks"][0]["task"], "first");
  EXPECT_FALSE(parsed["tasks"][0]["formulas"].empty());
  expect_contains(result.err, "formulas are about the symbols of run, which are not identified");

  write_text(folder / "t.csv", "x1,y\nabsent.png,1\nimage0.png,2\n");
  expect_failure(folder, {"solve", "run", "t.csv"}, kData, {"absent.png"});
  write_text(folder / "t.csv", "x1,y\nt.csv,1\nimage0.png,2\n");
  expect_failure(folder, {"solve", "run", "t.csv"}, kData, {"t.csv"});
  write_text(folder / "t.csv", "s1,y\n1,1\n2,2\n");
  expect_failure(folder, {"solve", "run", "t.csv"}, kData, {"t.csv:1: no column x1"});
  io::write_png(folder / "wide.png", {9, 8, 1, std::vector<std::uint8_t>(72, 0)});
  write_text(folder / "t.csv", "x1,y\nwide.png,1\nimage0.png,2\n");
  expect_failure(folder, {"solve", "run", "t.csv"}, kData, {"wide.png", "9 x 8"});
  expect_failure(folder, {"solve", "absent", "t.csv"}, 4, {"no run folder absent"});
}

}  // namespace
}  // namespace roap::bin
