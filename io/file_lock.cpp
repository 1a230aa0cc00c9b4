#include "io/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace {

/// The process that wrote its number into a lock file; "another process" when it has not yet.
std::string holder_of(const std::filesystem::path& path) {
  try {
    const std::string text = read_file(path);
    if (!text.empty()) return "process " + text.substr(0, text.find('\n'));
  } catch (const DataError&) {
    // Gone since: the holder has just ended.
  }
  return "another process";
}

}  // namespace

FileLock::FileLock(std::filesystem::path path) : path_(std::move(path)) {
  while (!try_lock()) {
  }
  const std::string text = fmt::format("{}\n", ::getpid());
  // The number only serves messages: the lock holds without it.
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, text.data(), text.size(), 0) < 0) return;
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  // Removed while still locked: whoever opened it meanwhile finds it unnamed and tries again.
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

bool FileLock::try_lock() {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_system_error("create lock file", path_, errno);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error_number = errno;
    ::close(descriptor_);
    if (error_number == EINTR) return false;
    if (error_number != EWOULDBLOCK) throw_system_error("lock", path_, error_number);
    throw UsageError(fmt::format("{} is in use by {}; wait for it or stop it first", path_.parent_path().string(),
                                 holder_of(path_)));
  }
  if (still_named()) return true;
  ::close(descriptor_);
  return false;
}

bool FileLock::still_named() const {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace roap::io
