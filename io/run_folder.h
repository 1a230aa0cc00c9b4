#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "io/config.h"
#include "io/file_lock.h"

namespace roap::io {

/// What an automatic folder name is made of.
struct RunName {
  std::string preset;
  std::string method;
  std::int64_t seed = 0;
};

enum class RunState { running, finished, interrupted, diverged };

struct RunStatus {
  RunState state = RunState::running;
  std::int64_t step = 0;
};

/// An argument as a shell reads it back.
std::string shell_quoted(const std::string& argument);

/// Facts about this build and machine for environment.json: version, compiler, CPU, cores, threads, system, memory.
nlohmann::ordered_json describe_environment(const std::string& version, std::int64_t threads);

/// The folder of one training run: its files, each replaced whole, and its lock.
class RunFolder {
 public:
  enum class Access { read, train };

  /// Makes and locks a new run folder: `path`, or when empty runs/DATE-PRESET-METHOD-seedN, with -2, -3 ... when taken.
  /// Nothing is overwritten, and of two processes only one gets a folder. UsageError when `path` is in use, DeviceError
  /// when it cannot be made.
  static RunFolder create(const std::filesystem::path& path, const RunName& name);

  /// Opens an existing run; Access::train locks it. CheckpointError when it is not a run folder, UsageError when
  /// another process trains in it.
  static RunFolder open(const std::filesystem::path& path, Access access);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path metrics_path() const { return path_ / "metrics.jsonl"; }

  void write_config(const Config& config) const;
  /// CheckpointError with file:line when config.toml is damaged or of another version.
  [[nodiscard]] Config read_config() const;
  /// The command line, quoted so that a shell reads it back.
  void write_command(std::span<const std::string> arguments) const;
  void write_environment(const nlohmann::ordered_json& environment) const;
  void write_programs(const nlohmann::ordered_json& programs) const;
  void write_status(RunStatus status) const;
  /// CheckpointError when STATUS is missing or not understood.
  [[nodiscard]] RunStatus read_status() const;

 private:
  RunFolder(std::filesystem::path path, std::optional<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  void write(const char* name, const std::string& text) const;

  std::filesystem::path path_;
  std::optional<FileLock> lock_;
};

}  // namespace roap::io
