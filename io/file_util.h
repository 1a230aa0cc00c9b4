#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace roap::io {

/// An output file whose every write is checked. A failed call throws DeviceError with the path, the bytes wanted and
/// the system's reason, so that a full disk never passes for success.
class OutputFile {
 public:
  enum class Mode { replace, append };

  explicit OutputFile(std::filesystem::path path, Mode mode = Mode::replace);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Waits until the bytes are on the disk, then closes. Without it the destructor only closes.
  void sync_and_close();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Whether a folder, a regular file or anything of that name is there; "no" where it cannot be looked at.
bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_present(const std::filesystem::path& path);

/// Whole content of a file. DataError when it is missing, a folder or unreadable.
std::string read_file(const std::filesystem::path& path);

/// Replaces `path` by `bytes` as one step: a reader, or a machine that stops, sees the old or the new content, whole.
void atomic_write(const std::filesystem::path& path, std::string_view bytes);

/// Makes names created, renamed or removed in `folder` survive a power cut.
void sync_folder(const std::filesystem::path& folder);

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits; call once, last.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256_hex(std::string_view bytes);

/// Creates `folder` and its parents where missing and proves that files can be made in it, else DeviceError.
void ensure_writable_folder(const std::filesystem::path& folder);

/// First of `path`, `path`-2, `path`-3 ... that does not exist.
std::filesystem::path first_free_path(const std::filesystem::path& path);

/// Creates the folder `path` for new output; its parents too. An empty folder is taken as it is; UsageError with a free
/// name when `path` is in use, DeviceError when it cannot be made or written.
void create_output_folder(const std::filesystem::path& path);

/// Builds the DeviceError message of a failed system call from errno: "cannot <action> <path>: <reason>. <advice>".
[[noreturn]] void throw_system_error(std::string_view action, const std::filesystem::path& path, int error_number);

}  // namespace roap::io
