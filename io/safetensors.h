#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace roap::io {

/// Element types of the safetensors format that we read and write.
enum class Dtype { f64, f32, bf16, i64, i32, u64, u32, u8 };

/// Size of one element in bytes.
std::size_t dtype_size(Dtype dtype);
/// The format's name, for example "F32".
std::string_view dtype_name(Dtype dtype);

template <typename T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, double>) return Dtype::f64;
  if constexpr (std::is_same_v<T, float>) return Dtype::f32;
  if constexpr (std::is_same_v<T, std::int64_t>) return Dtype::i64;
  if constexpr (std::is_same_v<T, std::int32_t>) return Dtype::i32;
  if constexpr (std::is_same_v<T, std::uint64_t>) return Dtype::u64;
  if constexpr (std::is_same_v<T, std::uint32_t>) return Dtype::u32;
  if constexpr (std::is_same_v<T, std::uint8_t>) return Dtype::u8;
}

/// A tensor of a file or of a writer; `bytes` is little-endian, row-major and belongs to its owner.
struct TensorView {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// A safetensors file, read whole and checked whole: header length, JSON, element types, and that the tensors fill the
/// data without hole or overlap. CheckpointError names the file, the byte and the reason.
class SafetensorsFile {
 public:
  static SafetensorsFile read(const std::filesystem::path& path);
  /// Parses `content`, the bytes of a file; `label` names it in messages.
  static SafetensorsFile parse(std::string content, std::string label);

  /// Names in alphabetical order.
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// CheckpointError, with the nearest name, when there is no such tensor.
  [[nodiscard]] TensorView tensor(std::string_view name) const;
  /// A copy of the elements; CheckpointError when the tensor has another type or, if `shape` is given, another shape.
  template <typename T>
  [[nodiscard]] std::vector<T> values(std::string_view name) const {
    return copy_elements<T>(expect(name, dtype_of<T>()));
  }
  template <typename T>
  [[nodiscard]] std::vector<T> values(std::string_view name, std::span<const std::int64_t> shape) const {
    return copy_elements<T>(expect(name, dtype_of<T>(), shape));
  }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] const std::string& label() const { return label_; }

 private:
  struct Entry {
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::size_t begin;  ///< from the start of the file
    std::size_t size;
  };
  friend class SafetensorsParser;

  [[nodiscard]] TensorView expect(std::string_view name, Dtype dtype) const;
  [[nodiscard]] TensorView expect(std::string_view name, Dtype dtype, std::span<const std::int64_t> shape) const;

  template <typename T>
  static std::vector<T> copy_elements(const TensorView& view) {
    std::vector<T> elements(view.bytes.size() / sizeof(T));
    if (!elements.empty()) std::memcpy(elements.data(), view.bytes.data(), view.bytes.size());
    return elements;
  }

  std::string label_;
  std::string content_;
  std::map<std::string, Entry, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Collects tensors and writes them: the header is padded to 8 bytes; tensors stand by falling element size, then name,
/// so that each is aligned and the same content gives the same bytes.
class SafetensorsWriter {
 public:
  /// `bytes` is not copied: it must live until write(). UsageError when its size does not fit `shape`, the name is
  /// taken or is the reserved "__metadata__".
  void add(std::string name, Dtype dtype, std::vector<std::int64_t> shape, std::span<const std::byte> bytes);
  template <typename T>
  void add(std::string name, std::vector<std::int64_t> shape, std::span<const T> elements) {
    add(std::move(name), dtype_of<T>(), std::move(shape), std::as_bytes(elements));
  }
  void set_metadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }

  /// Writes and flushes to disk; DeviceError when that fails. Returns the SHA-256 and the size of what was written.
  struct Written {
    std::string sha256;
    std::uint64_t bytes;
  };
  Written write(const std::filesystem::path& path) const;

 private:
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace roap::io
