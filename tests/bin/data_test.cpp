#include "io/image_file.h"
#include "tests/bin/run_roap.h"

namespace roap::bin {
namespace {
namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr int kData = 3;
constexpr std::uintmax_t kBatchBytes = 10'000 * 3073;

/// Six files of the right names and sizes, all zeros (label 0); sparse, so cheap.
void make_cifar(const TempFolder& folder) {
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                           "data_batch_5.bin", "test_batch.bin"}) {
    write_text(folder / name, "");
    fs::resize_file(folder / name, kBatchBytes);
  }
}

TEST(CifarFiles, MissingOnesAreNamed) {
  const TempFolder folder;
  const Arguments command{"train", "--data", "cifar10:" + folder.path().string(), "--out", "run"};
  expect_failure(folder, {"train", "--data", "cifar10:absent"}, kData,
                 {"CIFAR-10 folder absent does not exist", "cifar10:DIR"});
  expect_failure(folder, command, kData, {(folder / "data_batch_1.bin").string() + " is missing"});
  make_cifar(folder);
  fs::remove(folder / "data_batch_4.bin");
  expect_failure(folder, command, kData, {(folder / "data_batch_4.bin").string() + " is missing"});
  EXPECT_FALSE(io::is_present(folder / "run")) << "no run folder before the data are known to be good";
}

TEST(CifarFiles, WrongSizesTellFoundAndExpected) {
  const TempFolder folder;
  make_cifar(folder);
  fs::resize_file(folder / "data_batch_1.bin", 30'000'001);
  expect_failure(folder, {"train", "--data", "cifar10:" + folder.path().string()}, kData,
                 {(folder / "data_batch_1.bin").string(), "expected 30730000 bytes, found 30000001"});
}

TEST(CifarFiles, LabelsAboveNineTellTheRecord) {
  const TempFolder folder;
  make_cifar(folder);
  std::string bytes(kBatchBytes, '\0');
  bytes[3 * 3073] = 10;
  write_text(folder / "data_batch_1.bin", bytes);
  expect_failure(folder, {"train", "--data", "cifar10:" + folder.path().string()}, kData,
                 {"data_batch_1.bin: record 3, byte 9219: label 10 is above 9"});
}

io::Image grey_image(int width, int height) {
  return {width, height, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height), 128)};
}

TEST(Predict, ReadsImagesAndRefusesWrongOnes) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run").exit_code, 0);
  io::write_png(folder / "a.png", grey_image(8, 8));
  io::write_png(folder / "wide.png", grey_image(9, 8));
  write_text(folder / "text.png", "not an image");
  const auto predict = [](const std::string& task, const Arguments& images) {
    Arguments command{"predict", "run", "--task", task};
    command.insert(command.end(), images.begin(), images.end());
    return command;
  };
  Arguments good = predict("7", {"a.png", "a.png", "a.png"});
  good.push_back("--json");
  const Result result = run(folder, good);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["predictions"].size(), 1u);
  EXPECT_EQ(json["predictions"][0]["symbols"].size(), 3u);

  expect_failure(folder, predict("0", {"a.png", "wide.png", "a.png"}), kData,
                 {"wide.png: image is 9 x 8 pixels, the model expects 8 x 8"});
  expect_failure(folder, predict("0", {"a.png", "text.png", "a.png"}), kData, {"text.png"});
  expect_failure(folder, predict("0", {"a.png", "absent.png", "a.png"}), kData, {"absent.png: No such file"});
  expect_failure(folder, predict("0", {"a.png", "a.png"}), kUsage, {"2 images: a prediction needs 3"});
  expect_failure(folder, predict("8", {"a.png", "a.png", "a.png"}), kUsage, {"--task 8: this run has tasks 0 to 7"});
  expect_failure(folder, predict("-1", {"a.png", "a.png", "a.png"}), kUsage, {"tasks 0 to 7"});
}

TEST(Predict, AppliesAnMlpToo) {
  const TempFolder folder;
  write_text(folder / "tiny.toml", tiny_config(3));
  ASSERT_EQ(run(folder, {"train", "--preset", "tiny.toml", "--method", "mlp-disjoint", "--out", "run"}).exit_code, 0);
  io::write_png(folder / "a.png", grey_image(8, 8));
  const Arguments command{"predict", "run", "--task", "7", "a.png", "a.png", "a.png", "a.png", "a.png", "a.png"};
  Arguments as_json = command;
  as_json.push_back("--json");
  const Result result = run(folder, as_json);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_TRUE(json["formula"].is_null());
  ASSERT_EQ(json["predictions"].size(), 2u);
  EXPECT_TRUE(json["predictions"][0]["y"].is_number());
  EXPECT_EQ(json["predictions"][0], json["predictions"][1]);
  expect_contains(run(folder, command).out, "task 7: y by an MLP, no formula\n");
}

TEST(Eval, RefusesDataOfAnotherShape) {
  const TempFolder folder;
  ASSERT_EQ(train_tiny(folder, "run", 2).exit_code, 0);
  make_cifar(folder);
  const Result result = run(folder, {"eval", "run", "--data", "cifar10:" + folder.path().string()});
  EXPECT_EQ(result.exit_code, kData) << result.err;  // zeros have one class only
  EXPECT_EQ(run(folder, {"eval", "run", "--data", "digit"}).exit_code, kUsage);
}

}  // namespace
}  // namespace roap::bin
