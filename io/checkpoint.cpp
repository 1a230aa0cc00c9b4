#include "io/checkpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include "io/file_util.h"
#include "kernels/common/error.h"

namespace roap::io {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kTemporaryPrefix = ".tmp-";
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kManifestFile = "manifest.json";
constexpr const char* kOwnHash = "manifest_sha256";

fs::path checkpoints_folder(const fs::path& run_folder) { return run_folder / "checkpoints"; }

/// N of "step-N" written the one way we write it, else nothing.
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || stop != end || name != fmt::format("{}{}", kStepPrefix, step)) return std::nullopt;
  return step;
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_system_error("publish checkpoint", to, errno);
}

/// Takes a checkpoint out of sight in one step, so that a crash cannot leave half of one under a valid name.
void hide_checkpoint(const fs::path& run_folder, std::int64_t step) {
  const fs::path hidden = checkpoints_folder(run_folder) / fmt::format("{}removed-{}", kTemporaryPrefix, step);
  std::error_code ignored;
  fs::remove_all(hidden, ignored);
  rename_or_throw(checkpoint_folder(run_folder, step), hidden);
}

/// Removes temporary folders: ours, and those that a crash left. Failing here costs disk space only.
void remove_temporary_folders(const fs::path& run_folder) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(checkpoints_folder(run_folder))) {
    if (entry.path().filename().string().starts_with(kTemporaryPrefix)) folders.push_back(entry.path());
  }
  std::error_code ignored;
  for (const fs::path& folder : folders) fs::remove_all(folder, ignored);
}

void prune(const fs::path& run_folder, std::int64_t newest, int keep) {
  int kept = 0;
  const std::vector<std::int64_t> steps = list_checkpoints(run_folder);
  for (const std::int64_t step : steps | std::views::reverse) {
    if (step > newest || (keep > 0 && kept >= keep)) {
      hide_checkpoint(run_folder, step);
    } else {
      ++kept;
    }
  }
}

nlohmann::ordered_json file_record(const SafetensorsWriter::Written& written) {
  return {{"bytes", written.bytes}, {"sha256", written.sha256}};
}

[[noreturn]] void fail(const fs::path& folder, std::string_view file, const std::string& reason) {
  throw CheckpointError(fmt::format("{}: {}: {}", folder.string(), file, reason));
}

/// Hash of the manifest's values without the hash itself; blanks and the order of fields do not count.
std::string own_hash(nlohmann::json manifest) {
  manifest.erase(kOwnHash);
  return sha256_hex(manifest.dump());
}

/// Reads a file of a checkpoint; a missing one is a damaged checkpoint.
std::string read_checkpoint_file(const fs::path& folder, const char* name) {
  try {
    return read_file(folder / name);
  } catch (const DataError& error) {
    throw CheckpointError(error.what());
  }
}

/// Reads manifest.json field by field and says which one is wrong.
class Manifest {
 public:
  explicit Manifest(fs::path folder) : folder_(std::move(folder)) {
    try {
      json_ = nlohmann::json::parse(read_checkpoint_file(folder_, kManifestFile));
    } catch (const nlohmann::json::parse_error& error) {
      fail(folder_, kManifestFile, fmt::format("byte {}: not JSON: {}", error.byte, error.what()));
    } catch (const nlohmann::json::exception& error) {
      fail(folder_, kManifestFile, error.what());
    }
  }

  template <typename T>
  T get(const std::string& pointer) const {
    const nlohmann::json::json_pointer path("/" + pointer);
    if (!json_.contains(path)) fail(folder_, kManifestFile, fmt::format("{}: missing", pointer));
    const nlohmann::json& value = json_.at(path);
    if (std::is_integral_v<T> && !value.is_number_integer()) {
      fail(folder_, kManifestFile, fmt::format("{}: expected a whole number, found {}", pointer, value.dump()));
    }
    try {
      return value.get<T>();
    } catch (const nlohmann::json::exception& error) {
      fail(folder_, kManifestFile, fmt::format("{}: {}", pointer, error.what()));
    }
  }

  template <typename T>
  void expect(const std::string& pointer, const T& expected) const {
    const T found = get<T>(pointer);
    if (found != expected) {
      fail(folder_, kManifestFile, fmt::format("{}: expected {}, found {}", pointer, expected, found));
    }
  }

  void expect_own_hash() const {
    if (!json_.is_object()) fail(folder_, kManifestFile, "not an object");
    expect(kOwnHash, own_hash(json_));
  }

  /// The file's content, after its size and hash were compared with the manifest.
  [[nodiscard]] std::string verified_content(const char* name) const {
    std::string content = read_checkpoint_file(folder_, name);
    const auto bytes = get<std::uint64_t>(fmt::format("files/{}/bytes", name));
    if (content.size() != bytes) {
      fail(folder_, name, fmt::format("size: expected {} bytes, found {}", bytes, content.size()));
    }
    const auto expected = get<std::string>(fmt::format("files/{}/sha256", name));
    const std::string found = sha256_hex(content);
    if (found != expected) fail(folder_, name, fmt::format("SHA-256 differs: expected {}, found {}", expected, found));
    return content;
  }

 private:
  fs::path folder_;
  nlohmann::json json_;
};

SafetensorsFile load_tensors(const Manifest& manifest, const fs::path& folder, const char* name) {
  return SafetensorsFile::parse(manifest.verified_content(name), (folder / name).string());
}

}  // namespace

fs::path checkpoint_folder(const fs::path& run_folder, std::int64_t step) {
  return checkpoints_folder(run_folder) / fmt::format("{}{}", kStepPrefix, step);
}

fs::path write_checkpoint(const fs::path& run_folder, const CheckpointInfo& info, const SafetensorsWriter& model,
                          const SafetensorsWriter& state, int keep) {
  const fs::path parent = checkpoints_folder(run_folder);
  ensure_writable_folder(parent);
  sync_folder(run_folder);
  remove_temporary_folders(run_folder);

  const fs::path temporary = parent / fmt::format("{}{}{}", kTemporaryPrefix, kStepPrefix, info.step);
  const fs::path published = checkpoint_folder(run_folder, info.step);
  try {
    ensure_writable_folder(temporary);
    const auto model_written = model.write(temporary / kModelFile);
    const auto state_written = state.write(temporary / kStateFile);
    nlohmann::ordered_json manifest = {
        {"format", kFormat},
        {"step", info.step},
        {"config_sha256", info.config_sha256},
        {"files", {{kModelFile, file_record(model_written)}, {kStateFile, file_record(state_written)}}},
        {"extra", info.extra}};
    manifest[kOwnHash] = own_hash(manifest);
    atomic_write(temporary / kManifestFile, manifest.dump(2) + "\n");
    // A checkpoint of this step exists only when the run went back behind it because it was damaged.
    if (is_present(published)) hide_checkpoint(run_folder, info.step);
    rename_or_throw(temporary, published);
    sync_folder(parent);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  prune(run_folder, info.step, keep);
  remove_temporary_folders(run_folder);
  return published;
}

std::vector<std::int64_t> list_checkpoints(const fs::path& run_folder) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(checkpoints_folder(run_folder), error)) {
    const std::optional<std::int64_t> step = step_of(entry.path().filename().string());
    if (step && is_folder(entry.path())) steps.push_back(*step);
  }
  std::ranges::sort(steps);
  return steps;
}

Checkpoint load_checkpoint(const fs::path& run_folder, std::int64_t step, std::string_view config_sha256) {
  fs::path folder = checkpoint_folder(run_folder, step);
  const Manifest manifest(folder);
  manifest.expect("format", kFormat);
  manifest.expect("step", step);
  if (!config_sha256.empty()) manifest.expect("config_sha256", std::string(config_sha256));
  CheckpointInfo info{step, manifest.get<std::string>("config_sha256"), manifest.get<nlohmann::json>("extra")};
  SafetensorsFile model = load_tensors(manifest, folder, kModelFile);
  SafetensorsFile state = load_tensors(manifest, folder, kStateFile);
  // Last, because the checks above say more about what differs.
  manifest.expect_own_hash();
  return {std::move(info), std::move(folder), std::move(model), std::move(state)};
}

Checkpoint load_newest_intact(const fs::path& run_folder, const WarnCallback& warn, std::string_view config_sha256) {
  const std::vector<std::int64_t> steps = list_checkpoints(run_folder);
  if (steps.empty()) {
    throw CheckpointError(fmt::format("{}: no checkpoint found; the run stopped before its first one, start it again",
                                      checkpoints_folder(run_folder).string()));
  }
  std::string reasons;
  for (const std::int64_t step : steps | std::views::reverse) {
    try {
      return load_checkpoint(run_folder, step, config_sha256);
    } catch (const CheckpointError& error) {
      reasons += fmt::format("\n  {}", error.what());
      warn(fmt::format("checkpoint of step {} is damaged and is passed over: {}", step, error.what()));
    }
  }
  throw CheckpointError(fmt::format("{}: no intact checkpoint:{}", run_folder.string(), reasons));
}

}  // namespace roap::io
