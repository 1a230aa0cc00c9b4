#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "io/file_util.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace {

/// A file with the given header text and number of data bytes.
std::string file_with(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string content(reinterpret_cast<const char*>(&length), sizeof(length));
  return content + header + std::string(data_bytes, 'd');
}

std::string refusal(const std::string& content) {
  return message_of<CheckpointError>([&] { SafetensorsFile::parse(content, "f"); });
}

std::string write_example(const TempFolder& folder, const std::string& name) {
  const std::vector<float> floats = {1.5f, -2.0f, 3.25f, 0.0f, 1e-30f, 7.0f};
  const std::vector<std::uint8_t> bytes = {1, 2, 255};
  const std::vector<std::int64_t> wide = {-1, 1LL << 60};
  const std::vector<double> none;
  SafetensorsWriter writer;
  writer.add<std::uint8_t>("bytes", {3}, bytes);
  writer.add<float>("floats", {2, 3}, floats);
  writer.add<std::int64_t>("wide", {2}, wide);
  writer.add<double>("none", {0, 4}, none);
  writer.set_metadata("config", "{\"a\": \"\\u00e4\"}");
  const auto written = writer.write(folder / name);
  const std::string content = read_file(folder / name);
  EXPECT_EQ(written.bytes, content.size());
  EXPECT_EQ(written.sha256, sha256_hex(content));
  return content;
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TempFolder folder;
  const std::string content = write_example(folder, "a");
  EXPECT_EQ(content, write_example(folder, "b"));
  const SafetensorsFile file = SafetensorsFile::read(folder / "a");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"bytes", "floats", "none", "wide"}));
  EXPECT_EQ(file.values<float>("floats"), (std::vector<float>{1.5f, -2.0f, 3.25f, 0.0f, 1e-30f, 7.0f}));
  EXPECT_EQ(file.values<std::uint8_t>("bytes"), (std::vector<std::uint8_t>{1, 2, 255}));
  EXPECT_EQ(file.values<std::int64_t>("wide"), (std::vector<std::int64_t>{-1, 1LL << 60}));
  EXPECT_TRUE(file.values<double>("none").empty());
  EXPECT_EQ(file.tensor("floats").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(file.metadata().at("config"), "{\"a\": \"\\u00e4\"}");
}

TEST(Safetensors, HeaderAndTensorsAreAligned) {
  const TempFolder folder;
  const std::string content = write_example(folder, "a");
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof(length));
  EXPECT_EQ(length % 8, 0u);
  const auto header = nlohmann::json::parse(content.substr(8, length));
  EXPECT_EQ(header["wide"]["data_offsets"][0], 0);
  EXPECT_EQ(header["floats"]["data_offsets"][0], 16);
  EXPECT_EQ(header["bytes"]["data_offsets"][0], 40);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const TempFolder folder;
  const std::string content = write_example(folder, "a");
  for (std::size_t size = 0; size < content.size(); ++size) {
    const std::string message = refusal(content.substr(0, size));
    expect_contains(message, "f: byte " + std::to_string(size) + ": ");
  }
  expect_contains(refusal(content + "x"), "1 bytes after the last tensor belong to none");
}

TEST(Safetensors, FlippedHeaderBitsNeverCrash) {
  const TempFolder folder;
  const std::string content = write_example(folder, "a");
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof(length));
  int refused = 0;
  for (std::size_t bit = 0; bit < (8 + length) * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      SafetensorsFile::parse(damaged, "f");
    } catch (const CheckpointError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(length) * 4);  // letters of names may differ unnoticed
}

TEST(Safetensors, RefusesBadHeaders) {
  expect_contains(refusal(file_with("[]", 0)), "byte 8: header does not start with '{'");
  expect_contains(refusal(file_with("", 0)), "byte 8: header does not start with '{'");
  expect_contains(refusal(file_with("{\"a\": }", 0)), "header is not JSON");
  expect_contains(refusal(std::string(8, '\xff') + "{}"), "not a safetensors file");
  expect_contains(refusal(file_with(R"({"__metadata__": {"a": 1}})", 0)), "\"a\" is not a string");
  expect_contains(refusal(file_with(R"({"__metadata__": []})", 0)), "__metadata__ is not an object");
  expect_contains(refusal(file_with("{\"a\": " + std::string(50'000, '['), 0)), "nested too deeply");
  expect_contains(refusal(file_with("{\"a\": 1e999}", 0)), "header");
}

TEST(Safetensors, RefusesBadTensors) {
  const auto tensor = [](const std::string& body) { return refusal(file_with("{\"t\": " + body + "}", 8)); };
  expect_contains(tensor("3"), "tensor \"t\": not an object");
  expect_contains(tensor(R"({"dtype": "F16", "shape": [4], "data_offsets": [0, 8]})"), "\"F16\" is not supported");
  expect_contains(tensor(R"({"shape": [2], "data_offsets": [0, 8]})"), "dtype: missing");
  expect_contains(tensor(R"({"dtype": "F32", "data_offsets": [0, 8]})"), "shape: missing");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2]})"), "data_offsets: missing");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})"), "shape: -2 is not a size");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]})"), "shape: 2.0 is not a size");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})"),
                  "shape [3] of F32 does not fit its 8 bytes");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [4611686018427387906], "data_offsets": [0, 8]})"),
                  "does not fit");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]})"), "begin 8 is after end 0");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2], "data_offsets": [0]})"), "expected [begin, end]");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 16]})"), "the file has 8");
  expect_contains(tensor(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "x": 1})"), "unknown field \"x\"");
}

TEST(Safetensors, RefusesOverlapsHolesAndRepetitions) {
  const std::string a = R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, )";
  expect_contains(refusal(file_with(a + R"("b": {"dtype": "U8", "shape": [4], "data_offsets": [3, 7]}})", 7)),
                  "tensor \"b\" overlaps another");
  expect_contains(refusal(file_with(a + R"("b": {"dtype": "U8", "shape": [4], "data_offsets": [5, 9]}})", 9)),
                  "tensor \"b\" leaves a hole before it");
  expect_contains(refusal(file_with(a + R"("a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}})", 8)),
                  "tensor \"a\": named twice");
}

TEST(Safetensors, AccessorsNameWhatDiffers) {
  const TempFolder folder;
  write_example(folder, "a");
  const SafetensorsFile file = SafetensorsFile::read(folder / "a");
  expect_contains(message_of<CheckpointError>([&] { static_cast<void>(file.tensor("flaots")); }),
                  "no tensor \"flaots\"; did you mean \"floats\"?");
  expect_contains(message_of<CheckpointError>([&] { static_cast<void>(file.values<double>("floats")); }),
                  "dtype: expected F64, found F32");
  const std::vector<std::int64_t> shape = {3, 2};
  expect_contains(message_of<CheckpointError>([&] { static_cast<void>(file.values<float>("floats", shape)); }),
                  "shape: expected [3, 2], found [2, 3]");
  message_of<CheckpointError>([&] { SafetensorsFile::read(folder / "missing"); });
}

TEST(Safetensors, WriterRefusesWhatCannotBeRead) {
  SafetensorsWriter writer;
  const std::vector<float> values(4);
  EXPECT_THROW(writer.add<float>("x", {5}, values), ShapeError);
  EXPECT_THROW(writer.add<float>("__metadata__", {4}, values), ShapeError);
  writer.add<float>("x", {4}, values);
  EXPECT_THROW(writer.add<float>("x", {4}, values), ShapeError);
}

TEST(Safetensors, FullDiskIsADeviceError) {
  SafetensorsWriter writer;
  const std::vector<float> values(1000);
  writer.add<float>("x", {1000}, values);
  expect_contains(message_of<DeviceError>([&] { writer.write("/dev/full"); }), "No space left on device");
}

}  // namespace
}  // namespace roap::io
