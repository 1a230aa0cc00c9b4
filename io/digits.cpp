#include "io/digits.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "io/embedded.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

constexpr const char* kFile = "data/digits.csv.gz";
constexpr int kSide = 8;
constexpr std::size_t kPixels = kSide * kSide;
constexpr std::size_t kCount = 1797;
constexpr std::size_t kTrainCount = 1400;
constexpr int kMaxLevel = 16;
constexpr int kMaxLabel = 9;

[[noreturn]] void fail(const std::string& reason) {
  throw DataError(fmt::format("built-in {}: {}; the program file is damaged, install it again", kFile, reason));
}

std::string_view embedded_bytes() {
  const auto found = std::ranges::find(embedded_files(), kFile, &EmbeddedFile::name);
  if (found == embedded_files().end()) fail("missing");
  return found->bytes;
}

std::string gunzip(std::string_view compressed) {
  constexpr std::size_t kMaxBytes = 1 << 20;  // the table needs 265 kB
  constexpr int kGzipWindow = MAX_WBITS + 16;
  std::string text(kMaxBytes, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) fail("zlib does not start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int result = inflate(&stream, Z_FINISH);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) fail("does not decompress");
  return text;
}

/// Reads numbers of 0..limit separated by commas or line ends.
class NumberReader {
 public:
  explicit NumberReader(std::string_view text) : text_(text) {}

  int next(int limit) {
    int value = 0;
    const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0 || value > limit) fail("holds a wrong number");
    text_.remove_prefix(static_cast<std::size_t>(stop - text_.data()));
    if (!text_.empty()) text_.remove_prefix(1);
    return value;
  }
  [[nodiscard]] bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

/// splitmix64; the standard library's distributions differ between implementations, the split must not.
class SplitMix {
 public:
  std::size_t below(std::size_t bound) {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
  }

 private:
  std::uint64_t state_ = 1797;
};

std::vector<std::size_t> split_order() {
  std::vector<std::size_t> order(kCount);
  std::iota(order.begin(), order.end(), 0);
  SplitMix random;
  for (std::size_t i = kCount - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

LabelledImages select(const LabelledImages& all, std::span<const std::size_t> indices) {
  LabelledImages chosen{1, kSide, kSide, {}, {}};
  for (const std::size_t index : indices) {
    const auto first = all.pixels.begin() + static_cast<std::ptrdiff_t>(index * kPixels);
    chosen.pixels.insert(chosen.pixels.end(), first, first + kPixels);
    chosen.labels.push_back(all.labels[index]);
  }
  return chosen;
}

}  // namespace

TrainTestImages load_digits() {
  const std::string table = gunzip(embedded_bytes());
  NumberReader numbers(table);
  LabelledImages all{1, kSide, kSide, {}, {}};
  for (std::size_t row = 0; row < kCount; ++row) {
    for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
      const int level = numbers.next(kMaxLevel);
      all.pixels.push_back(static_cast<std::uint8_t>((level * 255 + kMaxLevel / 2) / kMaxLevel));
    }
    all.labels.push_back(static_cast<std::uint8_t>(numbers.next(kMaxLabel)));
  }
  if (!numbers.at_end()) fail("holds too many rows");
  const std::vector<std::size_t> order = split_order();
  const std::span<const std::size_t> indices(order);
  return {select(all, indices.first(kTrainCount)), select(all, indices.subspan(kTrainCount))};
}

}  // namespace roap::io
