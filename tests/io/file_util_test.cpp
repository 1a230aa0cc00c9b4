#include "io/file_util.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "io/suggest.h"
#include "kernels/common/error.h"
#include "tests/io/io_test_util.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(FileUtil, AtomicWriteReplacesAndLeavesNothingElse) {
  const TempFolder folder;
  atomic_write(folder / "a.txt", "old");
  atomic_write(folder / "a.txt", std::string_view("new\0content", 11));
  EXPECT_EQ(read_file(folder / "a.txt"), std::string("new\0content", 11));
  EXPECT_EQ(entries(folder.path()), 1u);
}

// A file size limit makes the write fail half way, as a full disk does.
TEST(FileUtil, FailedAtomicWriteKeepsTheOldContent) {
  const TempFolder folder;
  atomic_write(folder / "a.txt", "old");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = message_of<DeviceError>([&] { atomic_write(folder / "a.txt", std::string(5000, 'x')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  expect_contains(message, "cannot write 5000 bytes (after 1000) to ");
  expect_contains(message, "File too large");
  EXPECT_EQ(read_file(folder / "a.txt"), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(FileUtil, FullDiskNamesPathBytesAndReason) {
  OutputFile file("/dev/full", OutputFile::Mode::append);
  const std::string message = message_of<DeviceError>([&] { file.write("twelve bytes"); });
  EXPECT_EQ(message,
            "cannot write 12 bytes (after 0) to /dev/full: No space left on device. Free some space or choose another "
            "folder.");
}

TEST(FileUtil, ReadFileTellsWhyItCannot) {
  const TempFolder folder;
  expect_contains(message_of<DataError>([&] { read_file(folder / "none"); }), "none: No such file or directory");
  expect_contains(message_of<DataError>([&] { read_file(folder.path()); }), "Is a directory");
}

TEST(FileUtil, Sha256OfKnownTexts) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 pieces;
  pieces.update(std::as_bytes(std::span(std::string_view("a"))));
  pieces.update(std::as_bytes(std::span(std::string_view("bc"))));
  EXPECT_EQ(pieces.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(FileUtil, UnwritableFolderIsADeviceError) {
  // /proc refuses new folders and files even to root.
  const std::string made = message_of<DeviceError>([] { ensure_writable_folder("/proc/roap"); });
  expect_contains(made, "cannot create folder /proc/roap: ");
  message_of<DeviceError>([] { ensure_writable_folder("/proc"); });
  const TempFolder folder;
  write_text(folder / "file", "x");
  expect_contains(message_of<DeviceError>([&] { ensure_writable_folder(folder / "file"); }), "Not a directory");
}

TEST(FileUtil, FolderWithoutPermissionIsADeviceError) {
  // Root may write everywhere, so it becomes nobody for a moment.
  constexpr uid_t kNobody = 65534;
  const uid_t self = ::geteuid();
  const TempFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  ASSERT_EQ(::seteuid(self == 0 ? kNobody : self), 0);
  const std::string message = message_of<DeviceError>([&] { ensure_writable_folder(folder / "sub"); });
  ASSERT_EQ(::seteuid(self), 0);
  fs::permissions(folder.path(), fs::perms::owner_all);
  expect_contains(message, "Permission denied. Choose a folder that you may write to.");
}

TEST(FileUtil, WritableFolderIsMadeAndLeftEmpty) {
  const TempFolder folder;
  ensure_writable_folder(folder / "a/b");
  EXPECT_EQ(entries(folder / "a/b"), 0u);
}

TEST(FileUtil, OutputFolderInUseIsRefusedWithAFreeName) {
  const TempFolder folder;
  create_output_folder(folder / "out");
  create_output_folder(folder / "out");  // still empty
  write_text(folder / "out/precious", "x");
  fs::create_directory(folder / "out-2");
  const std::string message = message_of<UsageError>([&] { create_output_folder(folder / "out"); });
  expect_contains(message, "is in use");
  expect_contains(message, (folder / "out-3").string());
  EXPECT_EQ(read_file(folder / "out/precious"), "x");
  write_text(folder / "file", "x");
  message_of<UsageError>([&] { create_output_folder(folder / "file"); });
}

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("smaples", "samples"), 1);
  EXPECT_EQ(edit_distance("same", "same"), 0);
}

TEST(Suggest, NamesOnlyNearOnes) {
  const std::vector<std::string> known = {"train", "resume", "eval"};
  EXPECT_EQ(nearest_name("trian", known), "train");
  EXPECT_EQ(nearest_name("resum", known), "resume");
  EXPECT_EQ(nearest_name("pictures", known), "");
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), known), "");
  EXPECT_EQ(suggestion("evla", known), "; did you mean \"eval\"?");
  EXPECT_EQ(suggestion("pictures", known), "");
}

}  // namespace
}  // namespace roap::io
