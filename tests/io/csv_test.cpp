#include "io/csv.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/search_table.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {

std::vector<std::vector<std::string>> texts(const CsvTable& table) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : table.rows) {
    rows.emplace_back();
    for (const CsvField& field : row) rows.back().push_back(field.text);
  }
  return rows;
}

std::string refusal(const std::string& text) {
  return message_of<DataError>([&] { (void)parse_csv(text, "t.csv"); });
}

TEST(Csv, ReadsPlainAndQuotedFields) {
  using Rows = std::vector<std::vector<std::string>>;
  const CsvTable table = parse_csv("a,b,c\n1,,\"x, \"\"y\"\"\"\r\n\"two\nlines\",2, 3 \n", "t.csv");
  EXPECT_EQ(table.names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(texts(table), (Rows{{"1", "", "x, \"y\""}, {"two\nlines", "2", " 3 "}}));
  EXPECT_EQ(table.find("c"), 2);
  EXPECT_EQ(table.find("d"), -1);
  EXPECT_EQ(table.number(1, 2), 3.0) << "blanks around a number do no harm";
  // The line break inside the quotes counts.
  EXPECT_EQ(table.rows[1][1].line, 4);
  EXPECT_EQ(table.rows[1][1].column, 8);
}

TEST(Csv, ByteOrderMarkEmptyLinesAndAMissingLastLineEndDoNoHarm) {
  const CsvTable table = parse_csv("\xef\xbb\xbf\na,b\r\n\r\n1,2\n\n3,4", "t.csv");
  EXPECT_EQ(table.names, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[1][0].line, 6);
  EXPECT_TRUE(parse_csv("a,b\n", "t.csv").rows.empty());
}

TEST(Csv, SaysWhereATableIsBroken) {
  EXPECT_EQ(refusal(""), "t.csv: the table is empty; its first line names the columns");
  EXPECT_EQ(refusal("\n\n"), "t.csv: the table is empty; its first line names the columns");
  EXPECT_EQ(refusal("a,b\n1,2\n3\n"), "t.csv:3:1: 1 fields, but the header has 2 columns");
  EXPECT_EQ(refusal("a,b\n1,2,3\n"), "t.csv:2:5: 3 fields, but the header has 2 columns");
  EXPECT_EQ(refusal("a,a\n"), "t.csv:1:3: two columns are named \"a\"");
  EXPECT_EQ(refusal("a,b\n1,\"2\n3,4\n"), "t.csv:2:3: the quote that opens here is not closed");
  EXPECT_EQ(refusal("a\n\"1\" 2\n"), "t.csv:2:4: expected a comma or the end of the line behind the closing quote");
  EXPECT_EQ(refusal("a\n1\"2\n"), "t.csv:2:2: a quote inside a field: put the whole field into quotes");
}

TEST(Csv, NumbersAreFiniteNumbersAndNothingElse) {
  const CsvTable table = parse_csv("a\n1e3\n-0.5\n+2\nabc\n1.5x\n\"\"\nnan\ninf\n1e999\n0x10\n1;5\n", "t.csv");
  EXPECT_EQ(table.number(0, 0), 1000.0);
  EXPECT_EQ(table.number(1, 0), -0.5);
  EXPECT_EQ(table.number(2, 0), 2.0);
  for (std::size_t row = 3; row < table.rows.size(); ++row) {
    EXPECT_THROW((void)table.number(row, 0), DataError) << table.rows[row][0].text;
  }
  EXPECT_EQ(message_of<DataError>([&] { (void)table.number(3, 0); }),
            "t.csv:5:1: column a: expected a number, found \"abc\"");
  EXPECT_EQ(message_of<DataError>([&] { (void)table.number(6, 0); }),
            "t.csv:8:1: column a: expected a finite number, found \"nan\"");
  EXPECT_EQ(message_of<DataError>([&] { (void)table.number(8, 0); }),
            "t.csv:10:1: column a: the number is too large, found \"1e999\"");
}

SearchTable numbers_of(const std::string& text) {
  const CsvTable table = parse_csv(text, "t.csv");
  const int variables = symbol_columns(table, "s");
  return make_search_table(table, variables, read_symbols(table, variables));
}

std::string table_refusal(const std::string& text) {
  return message_of<DataError>([&] { (void)numbers_of(text); });
}

TEST(SearchTable, CollectsTheRowsOfEachTask) {
  const SearchTable table = numbers_of("y,s2,s1,task,note\n1,2,3,b,\n4,5,6,a,\n7,8,9,b,\n10,11,12,a,\n");
  EXPECT_EQ(table.variables, 2);
  EXPECT_TRUE(table.named);
  ASSERT_EQ(table.tasks.size(), 2u);
  EXPECT_EQ(table.tasks[0].name, "b");
  EXPECT_EQ(table.tasks[0].rows, 2u);
  EXPECT_EQ(table.tasks[0].symbols, (std::vector<double>{3, 9, 2, 8}));
  EXPECT_EQ(table.tasks[0].y, (std::vector<double>{1, 7}));
  EXPECT_EQ(table.tasks[1].symbols, (std::vector<double>{6, 12, 5, 11}));
  EXPECT_EQ(table.unused, (std::vector<std::string>{"note"}));
  EXPECT_FALSE(numbers_of("s1,y\n1,2\n3,4\n").named);
}

TEST(SearchTable, ReadsGoldFormulas) {
  const SearchTable table = numbers_of("s1,s2,y,gold\n1,2,3,s1 + s2\n2,2,4,s1 + s2\n");
  ASSERT_TRUE(table.gold[0]);
  EXPECT_EQ(table.gold[0]->text(), "s1 + s2");
  EXPECT_EQ(table_refusal("s1,y,gold\n1,1,s1\n2,2,s1 +\n"),
            "t.csv:3:5: column gold: another formula than in line 2 of "
            "the same task");
  expect_contains(table_refusal("s1,y,gold\n1,1,s2\n2,2,s2\n"), "t.csv:2:5: column gold: formula \"s2\": expected");
}

TEST(SearchTable, SaysWhatIsMissing) {
  expect_contains(table_refusal("a,y\n1,2\n3,4\n"), "t.csv:1: no column s1");
  EXPECT_EQ(table_refusal("s1,s3,y\n1,2,3\n3,4,5\n"),
            "t.csv:1: no column s2; did you mean \"s1\"? (there are: s1, s3, y)");
  EXPECT_EQ(table_refusal("s1,s2\n1,2\n3,4\n"), "t.csv:1: no column y (there are: s1, s2)");
  EXPECT_EQ(table_refusal("s1,y\n"), "t.csv: the table has no rows");
  EXPECT_EQ(table_refusal("s1,y\n1,2\n"), "t.csv:2: one row is too little to find a formula; at least 2 are needed");
  EXPECT_EQ(table_refusal("s1,y,task\n1,2,a\n1,2,b\n1,3,b\n"),
            "t.csv:2: task a: one row is too little to find a formula; at least 2 are needed");
  EXPECT_EQ(table_refusal("x1,y\na.png,2\nb.png,3\n"),
            "t.csv:1: the table has image columns x1..; a run reads them: roap solve RUN t.csv");
  EXPECT_EQ(table_refusal("s1,y\n1,2\nx,3\n"), "t.csv:3:1: column s1: expected a number, found \"x\"");
  EXPECT_EQ(table_refusal("s1,y\n1,2\n2,NaN\n"), "t.csv:3:3: column y: expected a finite number, found \"NaN\"");
}

TEST(SearchTable, ImagePathsStartAtTheTablesFolder) {
  const CsvTable table = parse_csv("x1,x2,y\na.png,/b.png,1\n,c.png,2\n", "folder/t.csv");
  EXPECT_EQ(message_of<DataError>([&] { (void)read_image_paths(table, 2); }),
            "folder/t.csv:3:1: column x1: expected the path of an image");
  const CsvTable whole = parse_csv("x1,x2,y\na.png,/b.png,1\n", "folder/t.csv");
  EXPECT_EQ(read_image_paths(whole, 2), (std::vector<std::string>{"folder/a.png", "/b.png"}));
}

}  // namespace
}  // namespace roap::io
