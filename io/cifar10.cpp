#include "io/cifar10.h"

#include <fmt/format.h>

#include <string>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr int kSide = 32;
constexpr int kChannels = 3;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::size_t kRecord = 1 + kChannels * kPlane;
constexpr std::size_t kRecords = 10'000;
constexpr int kBatches = 5;
constexpr int kMaxLabel = 9;
constexpr const char* kSubfolder = "cifar-10-batches-bin";
constexpr const char* kTestFile = "test_batch.bin";

fs::path batch_file(const fs::path& folder, int number) { return folder / fmt::format("data_batch_{}.bin", number); }

/// The folder that holds the files: the given one or its well-known subfolder.
fs::path find_folder(const fs::path& given) {
  if (!is_folder(given)) {
    throw DataError(
        fmt::format("CIFAR-10 folder {} does not exist; give the folder with data_batch_1.bin, as in "
                    "cifar10:DIR",
                    given.string()));
  }
  const bool nested = !is_present(given / kTestFile) && is_folder(given / kSubfolder);
  return nested ? given / kSubfolder : given;
}

void require_file(const fs::path& file) {
  if (is_file(file)) return;
  throw DataError(
      fmt::format("{} is missing; the binary version of CIFAR-10 has data_batch_1.bin to data_batch_5.bin "
                  "and test_batch.bin",
                  file.string()));
}

}  // namespace

void append_cifar10_batch(const fs::path& file, LabelledImages& images) {
  require_file(file);
  const auto size = fs::file_size(file);
  if (size != kRecords * kRecord) {
    throw DataError(fmt::format("{}: size: expected {} bytes, found {}; download the binary version of CIFAR-10 again",
                                file.string(), kRecords * kRecord, size));
  }
  const std::string bytes = read_file(file);
  for (std::size_t record = 0; record < kRecords; ++record) {
    const auto* source = reinterpret_cast<const std::uint8_t*>(bytes.data()) + record * kRecord;
    if (source[0] > kMaxLabel) {
      throw DataError(fmt::format("{}: record {}, byte {}: label {} is above {}; the file is damaged", file.string(),
                                  record, record * kRecord, source[0], kMaxLabel));
    }
    images.labels.push_back(source[0]);
    for (std::size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (int channel = 0; channel < kChannels; ++channel) {
        images.pixels.push_back(source[1 + channel * kPlane + pixel]);
      }
    }
  }
}

TrainTestImages load_cifar10(const fs::path& folder) {
  const fs::path files = find_folder(folder);
  // A missing file is told before time is spent on the others.
  for (int number = 1; number <= kBatches; ++number) require_file(batch_file(files, number));
  require_file(files / kTestFile);

  const LabelledImages empty{kChannels, kSide, kSide, {}, {}};
  TrainTestImages images{empty, empty};
  images.train.pixels.reserve(kBatches * kRecords * kChannels * kPlane);
  for (int number = 1; number <= kBatches; ++number) append_cifar10_batch(batch_file(files, number), images.train);
  append_cifar10_batch(files / kTestFile, images.test);
  return images;
}

}  // namespace roap::io
