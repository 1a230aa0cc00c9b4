#include "io/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "io/file_util.h"
#include "io/suggest.h"
#include "kernels/common/error.h"

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is copied as it is");

namespace roap::io {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::string_view kMetadataName = "__metadata__";

struct DtypeInfo {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};
// In the order of Dtype.
constexpr std::array<DtypeInfo, 8> kDtypes = {{{Dtype::f64, "F64", 8},
                                               {Dtype::f32, "F32", 4},
                                               {Dtype::bf16, "BF16", 2},
                                               {Dtype::i64, "I64", 8},
                                               {Dtype::i32, "I32", 4},
                                               {Dtype::u64, "U64", 8},
                                               {Dtype::u32, "U32", 4},
                                               {Dtype::u8, "U8", 1}}};

/// Bytes of a dense tensor, or nothing when a size is negative or the product does not fit.
std::optional<std::uint64_t> bytes_of(Dtype dtype, std::span<const std::int64_t> shape) {
  std::uint64_t bytes = dtype_size(dtype);
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return std::nullopt;
  }
  return bytes;
}

}  // namespace

std::size_t dtype_size(Dtype dtype) { return kDtypes[static_cast<std::size_t>(dtype)].size; }
std::string_view dtype_name(Dtype dtype) { return kDtypes[static_cast<std::size_t>(dtype)].name; }

/// Fills a SafetensorsFile from its content; every check of the format lives here.
class SafetensorsParser {
 public:
  explicit SafetensorsParser(SafetensorsFile& file) : file_(file), content_(file.content_) {}

  void parse() {
    read_header_length();
    const nlohmann::json header = parse_header();
    for (const auto& [name, description] : header.items()) {
      if (name == kMetadataName) {
        parse_metadata(description);
      } else {
        parse_tensor(name, description);
      }
    }
    check_coverage();
  }

 private:
  [[noreturn]] void fail(std::size_t byte, const std::string& reason) const {
    throw CheckpointError(fmt::format("{}: byte {}: {}", file_.label_, byte, reason));
  }
  [[noreturn]] void fail_tensor(std::string_view name, const std::string& reason) const {
    fail(kLengthBytes, fmt::format("header: tensor \"{}\": {}", name, reason));
  }

  void read_header_length() {
    if (content_.size() < kLengthBytes) {
      fail(content_.size(), fmt::format("file ends inside the header length: {} bytes, at least {} expected",
                                        content_.size(), kLengthBytes));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, content_.data(), kLengthBytes);
    if (length > kMaxHeaderBytes) {
      fail(0, fmt::format("header length {} is above the format's limit of {}: not a safetensors file", length,
                          kMaxHeaderBytes));
    }
    if (length > content_.size() - kLengthBytes) {
      fail(content_.size(), fmt::format("file ends inside the header: {} bytes announced, {} present", length,
                                        content_.size() - kLengthBytes));
    }
    data_begin_ = kLengthBytes + static_cast<std::size_t>(length);
  }

  nlohmann::json parse_header() const {
    if (data_begin_ == kLengthBytes || content_[kLengthBytes] != '{')
      fail(kLengthBytes, "header does not start with '{'");
    std::set<std::string> seen;
    const auto refuse_duplicates = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      constexpr int kMaxDepth = 8;
      if (depth > kMaxDepth) fail(kLengthBytes, "header is nested too deeply");
      if (event == nlohmann::json::parse_event_t::key && depth == 1 && !seen.insert(value.get<std::string>()).second) {
        fail_tensor(value.get<std::string>(), "named twice");
      }
      return true;
    };
    try {
      const auto begin = content_.begin() + kLengthBytes;
      return nlohmann::json::parse(begin, content_.begin() + static_cast<std::ptrdiff_t>(data_begin_),
                                   refuse_duplicates);
    } catch (const nlohmann::json::parse_error& error) {
      fail(kLengthBytes + error.byte, fmt::format("header is not JSON: {}", error.what()));
    } catch (const nlohmann::json::exception& error) {
      fail(kLengthBytes, fmt::format("header: {}", error.what()));
    }
  }

  void parse_metadata(const nlohmann::json& description) {
    if (!description.is_object()) fail(kLengthBytes, "header: __metadata__ is not an object");
    for (const auto& [key, value] : description.items()) {
      if (!value.is_string()) fail(kLengthBytes, fmt::format("header: __metadata__: \"{}\" is not a string", key));
      file_.metadata_[key] = value.get<std::string>();
    }
  }

  void parse_tensor(const std::string& name, const nlohmann::json& description) {
    if (!description.is_object()) fail_tensor(name, "not an object");
    for (const auto& [field, value] : description.items()) {
      if (field != "dtype" && field != "shape" && field != "data_offsets") {
        fail_tensor(name, fmt::format("unknown field \"{}\"", field));
      }
    }
    const Dtype dtype = parse_dtype(name, description);
    std::vector<std::int64_t> shape = parse_sizes(name, description, "shape");
    const std::vector<std::int64_t> offsets = parse_sizes(name, description, "data_offsets");
    if (offsets.size() != 2) fail_tensor(name, "data_offsets: expected [begin, end]");

    const auto begin = static_cast<std::uint64_t>(offsets[0]);
    const auto end = static_cast<std::uint64_t>(offsets[1]);
    const std::size_t data_size = content_.size() - data_begin_;
    if (begin > end) fail_tensor(name, fmt::format("data_offsets: begin {} is after end {}", begin, end));
    if (end > data_size) {
      fail(content_.size(), fmt::format("tensor \"{}\" needs {} bytes of data, the file has {}", name, end, data_size));
    }
    const std::optional<std::uint64_t> expected = bytes_of(dtype, shape);
    if (!expected || *expected != end - begin) {
      fail_tensor(name, fmt::format("shape {} of {} does not fit its {} bytes", shape, dtype_name(dtype), end - begin));
    }
    file_.tensors_.emplace(name, SafetensorsFile::Entry{dtype, std::move(shape), data_begin_ + begin,
                                                        static_cast<std::size_t>(end - begin)});
  }

  Dtype parse_dtype(const std::string& name, const nlohmann::json& description) const {
    const auto field = description.find("dtype");
    if (field == description.end() || !field->is_string()) fail_tensor(name, "dtype: missing or not a string");
    const auto text = field->get<std::string>();
    const auto info = std::ranges::find(kDtypes, text, &DtypeInfo::name);
    if (info == kDtypes.end()) fail_tensor(name, fmt::format("dtype: \"{}\" is not supported", text));
    return info->dtype;
  }

  std::vector<std::int64_t> parse_sizes(const std::string& name, const nlohmann::json& description,
                                        const char* field_name) const {
    const auto field = description.find(field_name);
    if (field == description.end() || !field->is_array()) {
      fail_tensor(name, fmt::format("{}: missing or not a list", field_name));
    }
    std::vector<std::int64_t> sizes;
    for (const nlohmann::json& value : *field) {
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX) {
        fail_tensor(name, fmt::format("{}: {} is not a size", field_name, value.dump()));
      }
      sizes.push_back(value.get<std::int64_t>());
    }
    return sizes;
  }

  /// The tensors must follow each other from the first byte of data to the last.
  void check_coverage() const {
    std::vector<std::tuple<std::size_t, std::size_t, std::string_view>> ranges;
    for (const auto& [name, entry] : file_.tensors_) ranges.emplace_back(entry.begin, entry.begin + entry.size, name);
    std::ranges::sort(ranges);
    std::size_t position = data_begin_;
    for (const auto& [begin, end, name] : ranges) {
      if (begin != position) {
        fail(begin, fmt::format("tensor \"{}\" {}: expected at byte {}", name,
                                begin < position ? "overlaps another" : "leaves a hole before it", position));
      }
      position = end;
    }
    if (position != content_.size()) {
      fail(position, fmt::format("{} bytes after the last tensor belong to none", content_.size() - position));
    }
  }

  SafetensorsFile& file_;
  const std::string& content_;
  std::size_t data_begin_ = 0;
};

SafetensorsFile SafetensorsFile::read(const std::filesystem::path& path) {
  try {
    return parse(read_file(path), path.string());
  } catch (const DataError& error) {
    throw CheckpointError(error.what());
  }
}

SafetensorsFile SafetensorsFile::parse(std::string content, std::string label) {
  SafetensorsFile file;
  file.label_ = std::move(label);
  file.content_ = std::move(content);
  SafetensorsParser(file).parse();
  return file;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : tensors_) names.push_back(name);
  return names;
}

TensorView SafetensorsFile::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw CheckpointError(fmt::format("{}: no tensor \"{}\"{}", label_, name, suggestion(name, names())));
  }
  const Entry& entry = found->second;
  const auto bytes = std::as_bytes(std::span(content_)).subspan(entry.begin, entry.size);
  return {entry.dtype, entry.shape, bytes};
}

TensorView SafetensorsFile::expect(std::string_view name, Dtype dtype) const {
  TensorView view = tensor(name);
  if (view.dtype != dtype) {
    throw CheckpointError(fmt::format("{}: tensor \"{}\": dtype: expected {}, found {}", label_, name,
                                      dtype_name(dtype), dtype_name(view.dtype)));
  }
  return view;
}

TensorView SafetensorsFile::expect(std::string_view name, Dtype dtype, std::span<const std::int64_t> shape) const {
  TensorView view = expect(name, dtype);
  if (!std::ranges::equal(view.shape, shape)) {
    throw CheckpointError(
        fmt::format("{}: tensor \"{}\": shape: expected {}, found {}", label_, name, shape, view.shape));
  }
  return view;
}

void SafetensorsWriter::add(std::string name, Dtype dtype, std::vector<std::int64_t> shape,
                            std::span<const std::byte> bytes) {
  const std::optional<std::uint64_t> expected = bytes_of(dtype, shape);
  if (!expected || *expected != bytes.size()) {
    throw ShapeError(fmt::format("[safetensors] tensor \"{}\": shape {} of {} does not fit {} bytes", name, shape,
                                 dtype_name(dtype), bytes.size()));
  }
  if (name == kMetadataName || tensors_.contains(name)) {
    throw ShapeError(fmt::format("[safetensors] tensor name \"{}\" is reserved or taken", name));
  }
  tensors_.emplace(std::move(name), TensorView{dtype, std::move(shape), bytes});
}

SafetensorsWriter::Written SafetensorsWriter::write(const std::filesystem::path& path) const {
  std::vector<std::pair<std::string_view, const TensorView*>> ordered;
  for (const auto& [name, view] : tensors_) ordered.emplace_back(name, &view);
  std::ranges::stable_sort(ordered, std::greater(), [](const auto& entry) { return dtype_size(entry.second->dtype); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header[std::string(kMetadataName)] = metadata_;
  std::uint64_t offset = 0;
  for (const auto& [name, view] : ordered) {
    const std::uint64_t end = offset + view->bytes.size();
    header[std::string(name)] = {
        {"dtype", dtype_name(view->dtype)}, {"shape", view->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const auto length = std::bit_cast<std::array<std::byte, kLengthBytes>>(static_cast<std::uint64_t>(text.size()));

  OutputFile file(path);
  Sha256 hash;
  const auto put = [&](std::span<const std::byte> bytes) {
    file.write(bytes);
    hash.update(bytes);
  };
  put(length);
  put(std::as_bytes(std::span(text)));
  for (const auto& [name, view] : ordered) put(view->bytes);
  file.sync_and_close();
  return {hash.hex(), kLengthBytes + text.size() + offset};
}

}  // namespace roap::io
