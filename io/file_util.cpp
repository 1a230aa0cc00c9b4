#include "io/file_util.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "kernels/common/error.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

std::string_view advice_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return " Free some space or choose another folder.";
    case EACCES:
    case EPERM:
    case EROFS:
      return " Choose a folder that you may write to.";
    default:
      return "";
  }
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// A name beside `path` that no other process uses.
fs::path temporary_name(const fs::path& path) {
  return folder_of(path) / fmt::format(".{}.tmp-{}", path.filename().string(), ::getpid());
}

}  // namespace

void throw_system_error(std::string_view action, const fs::path& path, int error_number) {
  throw DeviceError(fmt::format("cannot {} {}: {}.{}", action, path.string(),
                                std::generic_category().message(error_number), advice_for(error_number)));
}

OutputFile::OutputFile(fs::path path, Mode mode) : path_(std::move(path)) {
  const int flags = mode == Mode::append ? O_APPEND : O_TRUNC;
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
  if (descriptor_ < 0) throw_system_error("create", path_, errno);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written == 0 || errno != EINTR) {
      const int error_number = written == 0 ? EIO : errno;
      throw_system_error(fmt::format("write {} bytes (after {}) to", bytes.size(), done), path_, error_number);
    }
  }
}

void OutputFile::sync_and_close() {
  if (::fsync(descriptor_) != 0) throw_system_error("flush to disk", path_, errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) throw_system_error("close", path_, errno);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

std::string read_file(const fs::path& path) {
  const auto fail = [&](int error_number) {
    throw DataError(fmt::format("cannot read {}: {}", path.string(), std::generic_category().message(error_number)));
  };
  if (is_folder(path)) fail(EISDIR);
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(errno != 0 ? errno : EIO);
  const std::streamoff size = file.tellg();
  if (size < 0) fail(EIO);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), size)) fail(errno != 0 ? errno : EIO);
  return bytes;
}

void atomic_write(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_name(path);
  try {
    OutputFile file(temporary);
    file.write(bytes);
    file.sync_and_close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_system_error("replace", path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder_of(path));
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_system_error("open folder", folder, errno);
  const int error_number = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems cannot flush a folder and say so with EINVAL; nothing more can be done there.
  if (error_number != 0 && error_number != EINVAL) throw_system_error("flush folder", folder, error_number);
}

namespace {

void check_openssl(int result) {
  if (result != 1) throw DeviceError("SHA-256 is not available in this installation of OpenSSL");
}

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(as_context(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check_openssl(context_ ? EVP_DigestInit_ex(as_context(context_.get()), EVP_sha256(), nullptr) : 0);
}

void Sha256::update(std::span<const std::byte> bytes) {
  check_openssl(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()));
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  check_openssl(EVP_DigestFinal_ex(as_context(context_.get()), digest.data(), &size));
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  return hash.hex();
}

void ensure_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_system_error("create folder", folder, error.value());
  if (!is_folder(folder)) throw_system_error("create folder", folder, ENOTDIR);
  // Trying beats asking access(): read-only file systems and quotas answer only to an attempt.
  const fs::path probe = temporary_name(folder / "probe");
  try {
    OutputFile(probe).sync_and_close();
  } catch (...) {
    ::unlink(probe.c_str());
    throw;
  }
  ::unlink(probe.c_str());
}

fs::path first_free_path(const fs::path& path) {
  fs::path candidate = path;
  for (int number = 2; is_present(candidate); ++number) {
    candidate = fmt::format("{}-{}", path.string(), number);
  }
  return candidate;
}

void create_output_folder(const fs::path& path) {
  std::error_code ignored;
  if (is_present(path) && !(is_folder(path) && fs::is_empty(path, ignored))) {
    throw UsageError(fmt::format("output folder {} is in use; nothing is overwritten. Choose another, for example {}",
                                 path.string(), first_free_path(path).string()));
  }
  ensure_writable_folder(path);
}

}  // namespace roap::io
