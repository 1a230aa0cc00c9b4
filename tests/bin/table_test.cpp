#include <fmt/format.h>

#include "io/digits.h"
#include "io/image_file.h"
#include "tests/bin/run_roap.h"

// Training on a user's own table of images.

namespace roap::bin {
namespace {

using nlohmann::json;

constexpr int kUsage = 2;
constexpr int kData = 3;

/// Handwritten digits as files, and a table of two tasks over pairs of them.
class Measured {
 public:
  explicit Measured(const TempFolder& folder) : folder_(folder), digits_(io::load_digits().train) {
    std::filesystem::create_directory(folder / "images");
  }

  /// Rows over the images i and j of all pairs; `pairs` of them are in the table.
  std::string table(int pairs, const std::string& header = "x1,x2,task,y\n") {
    std::string text = header;
    for (const char* task : {"sum", "product"}) {
      for (int p = 0; p < pairs; ++p) {
        const int i = 2 * p % kImages, j = (2 * p + 1 + p / (kImages / 2)) % kImages;
        const double a = symbol(i), b = symbol(j);
        text += fmt::format("{},{},{},{}\n", file(i), file(j), task, std::string(task) == "sum" ? a + b : a * b);
      }
    }
    return text;
  }

 private:
  static constexpr int kImages = 200;

  [[nodiscard]] double symbol(int image) const { return (digits_.labels[static_cast<std::size_t>(image)] + 1) / 10.0; }

  std::string file(int image) {
    const std::string name = fmt::format("images/{}.png", image);
    if (std::filesystem::exists(folder_ / name)) return name;
    const auto first = digits_.pixels.begin() + image * 64;
    io::write_png(folder_ / name, {8, 8, 1, {first, first + 64}});
    return name;
  }

  const TempFolder& folder_;
  io::LabelledImages digits_;
};

const Arguments kTrain{"train",  "--preset",    "digits", "--method", "marginal",
                       "--data", "table:t.csv", "--json", "--out",    "run"};

Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Table, LearnsTheFormulasOfMeasuredPairs) {
  const TempFolder folder;
  std::string table = Measured(folder).table(400);
  write_text(folder / "t.csv", table);
  const Result result = run(folder, with(kTrain, {"--set", "train.steps=100", "--set", "device.threads=1"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json metrics = json::parse(result.out);
  EXPECT_EQ(metrics["tasks"], 2);
  for (const char* unknown : {"solved", "solved_exact", "symbolic_loss_train", "symbols_right_test", "run_success",
                              "gauge", "generalisation_loss"}) {
    EXPECT_TRUE(metrics[unknown].is_null()) << unknown;
  }
  EXPECT_EQ(metrics["symbols"], "not known");
  EXPECT_LT(metrics["test_loss_normalised"], 0.1);
  EXPECT_LT(metrics["train_loss_normalised"], metrics["test_loss_normalised"]);
  expect_contains(result.err, "of y's variance left on test pairs");

  const json programs = json::parse(io::read_file(folder / "run" / "programs.json"));
  EXPECT_EQ(programs[0]["name"], "sum");
  EXPECT_TRUE(programs[0]["gold"].is_null());
  const Result text = run(folder, {"programs", "run"});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  expect_contains(text.out, "0  sum");
  const Result predicted = run(folder, {"predict", "run", "--task", "1", "images/3.png", "images/7.png", "--json"});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  const Result report = run(folder, {"report", "run"});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_EQ(report.err.find("left out"), std::string::npos) << report.err;
  expect_failure(folder, {"eval", "run", "--unseen"}, kUsage, {"t.csv", "roap solve"});

  // Another table may take the place of the run's own, with the same tasks only.
  const std::size_t product = table.find(",product,");
  table.resize(table.rfind('\n', product) + 1);
  write_text(folder / "less.csv", table);
  expect_failure(folder, {"eval", "run", "--data", "table:less.csv"}, kData, {"less.csv", "1 tasks", "2 tasks"});
}

TEST(Table, JudgesByTheFormulasWhereTheyAreKnown) {
  const TempFolder folder;
  std::string table = Measured(folder).table(40);
  std::string with_gold;
  for (std::size_t begin = 0, end = 0; begin < table.size(); begin = end + 1) {
    end = table.find('\n', begin);
    const std::string line = table.substr(begin, end - begin);
    with_gold += line + (begin == 0 ? ",gold" : line.find("sum") < line.size() ? ",s1 + s2" : ",s1 * s2") + "\n";
  }
  write_text(folder / "t.csv", with_gold);
  const Result result = run(folder, with(kTrain, {"--set", "train.steps=5", "--set", "device.threads=1"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json metrics = json::parse(result.out);
  EXPECT_TRUE(metrics["solved"].is_null());
  EXPECT_TRUE(metrics["solved_exact"].is_number());
  const json programs = json::parse(io::read_file(folder / "run" / "programs.json"));
  EXPECT_EQ(programs[1]["gold"], "s1 * s2");
}

TEST(Table, SaysWhatIsWrong) {
  const TempFolder folder;
  const std::string table = Measured(folder).table(10);
  const auto refused = [&](const std::string& text, const std::vector<std::string>& parts) {
    write_text(folder / "t.csv", text);
    expect_failure(folder, kTrain, kData, parts);
  };
  const auto first_line = [&](const std::string& text) { return text.find('\n') + 1; };
  std::string missing = table;
  missing.erase(missing.rfind("images/18"));
  refused(missing, {"t.csv:11", "task product", "no row with the images of this line"});
  refused(table + "images/0.png,images/0.png,product,1\n", {"t.csv:22", "images that the first task does not have"});
  refused(table + table.substr(first_line(table), table.find('\n', first_line(table)) + 1 - first_line(table)),
          {"task sum", "the same images as in an earlier row"});
  refused("x1,x2,y,split\nimages/0.png,images/1.png,1,train\nimages/1.png,images/0.png,2,dev\n",
          {"t.csv:3", "column split", "expected train or test", "dev"});
  refused("x1,y\nimages/0.png,1\nimages/1.png,2\n", {"no test pairs", "every fifth"});
  refused("x1,y,split\nimages/0.png,1,train\nimages/1.png,1,train\nimages/2.png,2,test\n",
          {"t.csv", "task 0", "y is the same in all 2 training rows"});
  io::write_png(folder / "wide.png", {9, 8, 1, std::vector<std::uint8_t>(72, 0)});
  refused("x1,y,split\nimages/0.png,1,train\nwide.png,3,train\nimages/2.png,2,test\n",
          {"wide.png", "9 x 8", "images/0.png", "one size"});
  refused("x1,y\nabsent.png,1\nimages/1.png,2\nimages/2.png,2\nimages/3.png,2\nimages/4.png,2\n", {"absent.png"});
  refused("s1,y\n1,1\n2,2\n", {"t.csv:1", "no column x1"});
  refused("x1,y\nimages/0.png,nan\nimages/1.png,2\n", {"t.csv:2", "column y", "finite"});
  expect_failure(folder, {"train", "--data", "table:none.csv"}, kData, {"none.csv"});
  expect_failure(folder, {"train", "--data", "table:"}, kUsage, {"table:FILE.csv"});
}

}  // namespace
}  // namespace roap::bin
