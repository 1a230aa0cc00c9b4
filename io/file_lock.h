#pragma once

#include <filesystem>

namespace roap::io {

/// Holds a lock file for as long as it lives. The lock belongs to the process: when that dies, the system frees it, so
/// a file left by a crash stops nobody.
class FileLock {
 public:
  /// UsageError that names the holder's process when another holds it; DeviceError when the file cannot be made.
  explicit FileLock(std::filesystem::path path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;

 private:
  bool try_lock();
  [[nodiscard]] bool still_named() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace roap::io
