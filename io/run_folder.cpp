#include "io/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>

#include "io/file_util.h"
#include "io/suggest.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfigFile = "config.toml";
constexpr const char* kStatusFile = "STATUS";
constexpr const char* kLockFile = "LOCK";
constexpr const char* kRunsFolder = "runs";

// In the order of RunState.
constexpr std::array<std::string_view, 4> kStateNames = {"running", "finished", "interrupted", "diverged"};

/// A preset given as a file keeps its stem only.
fs::path automatic_path(const RunName& name) {
  const std::time_t now = std::time(nullptr);
  return fs::path(kRunsFolder) / fmt::format("{:%Y-%m-%d}-{}-{}-seed{}", fmt::localtime(now),
                                             fs::path(name.preset).stem().string(), name.method, name.seed);
}

/// Makes the first free one of path, path-2, path-3 ...: making a folder is one step, so two processes never share one.
fs::path create_numbered_folder(const fs::path& path) {
  ensure_writable_folder(path.parent_path());
  for (;;) {
    fs::path candidate = first_free_path(path);
    std::error_code error;
    if (fs::create_directory(candidate, error)) return candidate;
    if (error) throw_system_error("create folder", candidate, error.value());
  }
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

/// "; did you mean \"runs/...\"?" among the neighbours of a path that is not there.
std::string suggest_run(const fs::path& path) {
  std::vector<std::string> neighbours;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.has_parent_path() ? path.parent_path() : ".", error)) {
    if (is_present(entry.path() / kConfigFile)) neighbours.push_back(entry.path().filename().string());
  }
  return suggestion(path.filename().string(), neighbours);
}

}  // namespace

std::string shell_quoted(const std::string& argument) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

nlohmann::ordered_json describe_environment(const std::string& version, std::int64_t threads) {
  utsname system{};
  ::uname(&system);
  const auto memory =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  return {{"version", version},
          {"compiler", __VERSION__},
          {"cpu", cpu_model()},
          {"cores", std::thread::hardware_concurrency()},
          {"threads", threads},
          {"memory_bytes", memory},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)}};
}

RunFolder RunFolder::create(const fs::path& path, const RunName& name) {
  fs::path created = path;
  if (path.empty()) {
    created = create_numbered_folder(automatic_path(name));
  } else {
    create_output_folder(path);
  }
  FileLock lock(created / kLockFile);
  // Two processes can both have found a given folder empty; the second to lock it finds the first one's STATUS.
  if (is_present(created / kStatusFile)) throw UsageError(fmt::format("output folder {} is in use", created.string()));
  RunFolder folder(std::move(created), std::move(lock));
  folder.write_status({RunState::running, 0});
  return folder;
}

RunFolder RunFolder::open(const fs::path& path, Access access) {
  if (!is_folder(path)) {
    throw CheckpointError(fmt::format("no run folder {}{}", path.string(), suggest_run(path)));
  }
  if (!is_present(path / kConfigFile)) {
    throw CheckpointError(fmt::format("{} is not a run folder: it has no {}", path.string(), kConfigFile));
  }
  if (access == Access::read) return {path, std::nullopt};
  return {path, FileLock(path / kLockFile)};
}

void RunFolder::write(const char* name, const std::string& text) const { atomic_write(path_ / name, text); }

void RunFolder::write_config(const Config& config) const { write(kConfigFile, to_toml(config)); }

Config RunFolder::read_config() const {
  try {
    return load_config((path_ / kConfigFile).string());
  } catch (const UsageError& error) {
    throw CheckpointError(error.what());
  }
}

void RunFolder::write_command(std::span<const std::string> arguments) const {
  std::string line;
  for (const std::string& argument : arguments) line += (line.empty() ? "" : " ") + shell_quoted(argument);
  write("command.txt", line + "\n");
}

void RunFolder::write_environment(const nlohmann::ordered_json& environment) const {
  write("environment.json", environment.dump(2) + "\n");
}

void RunFolder::write_programs(const nlohmann::ordered_json& programs) const {
  write("programs.json", programs.dump(2) + "\n");
}

void RunFolder::write_status(RunStatus status) const {
  write(kStatusFile, fmt::format("{} step {}\n", kStateNames[static_cast<std::size_t>(status.state)], status.step));
}

RunStatus RunFolder::read_status() const {
  std::string text;
  try {
    text = read_file(path_ / kStatusFile);
  } catch (const DataError& error) {
    throw CheckpointError(error.what());
  }
  for (std::size_t state = 0; state < kStateNames.size(); ++state) {
    const std::string prefix = fmt::format("{} step ", kStateNames[state]);
    if (!text.starts_with(prefix) || !text.ends_with('\n')) continue;
    std::int64_t step = 0;
    const char* end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, step);
    if (error == std::errc() && stop == end) return {static_cast<RunState>(state), step};
  }
  throw CheckpointError(fmt::format("{}: expected \"STATE step N\", found \"{}\"", (path_ / kStatusFile).string(),
                                    text.substr(0, text.find('\n'))));
}

}  // namespace roap::io
